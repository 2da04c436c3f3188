"""Draws a profile with matplotlib (extra `report`): SVG texts, one a plot."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import NamedTuple

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bonsai_edge.formats.ggml_types import GGMLType
from bonsai_edge.kv_cache import KVType
from bonsai_edge.measuring.bonsai_shapes import BONSAI_SHAPES
from bonsai_edge.profiling.prediction import decode_tokens_per_s, num_weights
from bonsai_edge.profiling.profile import Profile, Recorded
from bonsai_edge.sensors import Quantity

_INCHES = (6.4, 3.8)
_DEPTHS = (0, 512, 1024, 2048, 4096, 8192)
_MACS_PER_BYTE = GGMLType.Q1_0.block_elements / GGMLType.Q1_0.block_bytes  # for each token that shares the reading
_GIGA = 1e9


class Plot(NamedTuple):
    """A title for people and the text of an SVG file."""

    title: str
    svg: str


def draw_plots(profile: Profile) -> list[Plot]:
    """Return the plots that there are data for."""
    return [Plot(title, _svg(draw, profile)) for title, draw in _plots_of(profile)]


def _plots_of(profile: Profile) -> Iterator[tuple[str, Callable[[Axes, Profile], None]]]:
    yield "Roofline", _draw_roofline
    yield "Decoding against depth", _draw_depth
    for title, quantities in _OVER_TIME.items():
        if any(each.quantity in quantities for each in profile.sensors):
            yield title, _over_time(quantities)
    if profile.model is not None and profile.model.sustained is not None:
        yield "Decoding over time", _draw_sustained


_OVER_TIME = {
    "Temperature over time, °C": (Quantity.TEMPERATURE.value,),
    "Clock over time, GHz": (Quantity.MEASURED_CLOCK.value, Quantity.REPORTED_CLOCK.value),
    "Power over time, W": (Quantity.POWER.value,),
}


def _svg(draw: Callable[[Axes, Profile], None], profile: Profile) -> str:
    with mpl.rc_context({"svg.hashsalt": "bonsai-edge", "svg.fonttype": "none"}):  # the same text every time
        figure = Figure(figsize=_INCHES, layout="constrained")
        axes = figure.subplots()
        draw(axes, profile)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def _draw_roofline(axes: Axes, profile: Profile) -> None:
    """Multiply-adds a second against multiply-adds for each byte of weights that is read."""
    measured = profile.measurements
    intensities = [_MACS_PER_BYTE * 2**power for power in range(10)]
    memory = [profile.memory_read_bytes_per_s * each / _GIGA for each in intensities]
    axes.plot(intensities, memory, "--", color="0.45", label="memory, read bandwidth")
    kernels = measured.kernels
    if kernels is not None:
        peaks = {"kernels, one token": kernels.decode_macs_per_s, "kernels, a prompt": kernels.prefill_macs_per_s}
        for (label, peak), style in zip(peaks.items(), (":", "-."), strict=True):
            axes.axhline(peak / _GIGA, color="0.45", linestyle=style, label=label)
    for shape in BONSAI_SHAPES:
        row = next(each for each in profile.outlook if each.model == shape.spec.name)
        speed = row.decode_tokens_per_s * num_weights(shape.spec) / _GIGA
        axes.plot(_MACS_PER_BYTE, speed, "o", fillstyle="none", label=f"{row.model}, decode, predicted")
    if profile.model is not None:
        for test in profile.model.speeds.tests:
            if test.depth == 0:
                model, is_prompt = profile.model, test.kind == "pp"
                together = test.num_tokens if is_prompt else 1
                speed = test.mean * (model.num_layer_weights if is_prompt else model.num_weights) / _GIGA
                axes.plot(_MACS_PER_BYTE * together, speed, "s", label=f"{model.name}, {test.name}, measured")
    axes.set(xscale="log", yscale="log", ylabel="10⁹ multiply-adds/s")
    axes.set_xlabel("multiply-adds for each byte of weights read")


def _draw_depth(axes: Axes, profile: Profile) -> None:
    """Predicted curves of the published models, and what was measured."""
    costs = profile.measurements.costs
    kv_type = profile.model.kv_type if profile.model is not None else next(iter(costs))
    for shape in BONSAI_SHAPES:
        speeds = [decode_tokens_per_s(shape.spec, KVType(kv_type), costs[kv_type], depth) for depth in _DEPTHS]
        axes.plot(_DEPTHS, speeds, "--", label=f"{shape.spec.name}, {kv_type}, predicted")
    if profile.model is not None:
        tests = [test for test in profile.model.speeds.tests if test.kind == "tg"]
        depths = [test.depth for test in tests]
        axes.plot(depths, [test.mean for test in tests], "s-", label=f"{profile.model.name}, measured")
    axes.set(xlabel="tokens of context before", ylabel="tokens/s")
    axes.set_ylim(bottom=0)


def _over_time(quantities: tuple[str, ...]) -> Callable[[Axes, Profile], None]:
    def draw(axes: Axes, profile: Profile) -> None:
        for each in profile.sensors:
            if each.quantity in quantities:
                axes.plot(each.times_s, _in_unit(each), label=f"{each.name} ({each.scope})")
        axes.set_xlabel("seconds")

    return draw


def _in_unit(series: Recorded) -> list[float]:
    return [value / _GIGA for value in series.values] if series.quantity.endswith("_hz") else series.values


def _draw_sustained(axes: Axes, profile: Profile) -> None:
    assert profile.model is not None
    assert profile.model.sustained is not None
    sustained = profile.model.sustained
    axes.plot(sustained.times_s, sustained.tokens_per_s, label=f"{profile.model.name}, laps of 128 tokens")
    axes.set(xlabel="seconds", ylabel="tokens/s")
    axes.set_ylim(bottom=0)
