"""Draws results: speed against the limits of the machine, against depth, batch and threads. SVG, one panel a shape."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from speed.case import Case, Phase
from speed.results import Measurement, Results, Run
from speed.summary import compute_limit, median_roofs, median_speeds, memory_limit

_OURS, _THEIRS, _LIMIT = "tab:blue", "tab:orange", "0.45"
_PANEL_INCHES = (5.2, 3.8)


def draw_plots(results: Results, folder: Path) -> list[Path]:
    """Write `<label>-<subject>.svg` for each subject that was measured; return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    widest = results.full_threads()
    with mpl.rc_context({"svg.hashsalt": "bonsai-edge", "svg.fonttype": "none"}):  # the same file every time
        figures = {
            "roofline": _panels(widest, _draw_roofline),
            "depth": _panels([run for run in widest if len(_depths(run)) > 1], _draw_depth),
            "batch": _panels([run for run in widest if len(_batches(run)) > 1], _draw_batch),
            "threads": _panels(
                [run for run in widest if len(_thread_runs(results, run)) > 1],
                lambda axes, run: _draw_threads(axes, _thread_runs(results, run)),
            ),
        }
        paths = []
        for subject, figure in figures.items():
            if figure is not None:
                paths.append(folder / f"{results.label}-{subject}.svg")
                figure.savefig(paths[-1], metadata={"Date": None})
    return paths


def _panels(runs: Sequence[Run], draw: Callable[[Axes, Run], None]) -> Figure | None:
    if not runs:
        return None
    width, height = _PANEL_INCHES
    figure = Figure(figsize=(width * len(runs), height), layout="constrained")
    for axes, run in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs, strict=True):
        draw(axes, run)
        axes.set_title(f"{run.shape.name}, {run.threads} threads")
        axes.set_ylabel("tokens/s")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    return figure


def _draw_roofline(axes: Axes, run: Run) -> None:
    """Tokens/s against the tokens that share one read of the weights, below what memory and float32 allow."""
    roofs = median_roofs(run)
    measurements = [*_batches(run), *(each for each in run.measurements if each.case.phase == "prefill")]
    tokens = [_tokens_together(each.case) for each in measurements]
    sizes = [2**power for power in range(max(tokens).bit_length())]
    limits = [memory_limit(run.shape, Case("decode", 1, num_sequences=size), roofs) for size in sizes]
    axes.plot(sizes, limits, "--", color=_LIMIT, label="memory limit")
    compute = compute_limit(run.shape, roofs)
    axes.axhline(compute, color=_LIMIT, linestyle=":", label="float32 product (NumPy's BLAS)")
    _draw_sides(axes, tokens, measurements, linestyle="")
    axes.set(xscale="log", yscale="log", xlabel="tokens that share a read of the weights (batch, prompt)")
    axes.set_xticks(tokens, labels=[str(size) for size in tokens])
    axes.minorticks_off()
    axes.set_ylim(top=4 * max(compute, limits[0], *(max(median_speeds(each)) for each in measurements)))


def _draw_depth(axes: Axes, run: Run) -> None:
    roofs, measurements = median_roofs(run), _depths(run)
    depths = [measurement.case.depth for measurement in measurements]
    limits = [memory_limit(run.shape, measurement.case, roofs) for measurement in measurements]
    axes.plot(depths, limits, "--", color=_LIMIT, label="memory limit")
    _draw_sides(axes, depths, measurements)
    axes.set_xlabel("tokens of context before")
    axes.set_ylim(bottom=0)


def _draw_batch(axes: Axes, run: Run) -> None:
    measurements = _batches(run)
    _draw_sides(axes, [measurement.case.num_sequences for measurement in measurements], measurements)
    axes.set_xlabel("sequences decoding together")
    axes.set_ylim(bottom=0)


def _draw_threads(axes: Axes, runs: Sequence[Run]) -> None:
    styles: dict[Phase, str] = {"decode": "-", "prefill": ":"}
    for phase, style in styles.items():
        found = {run.threads: measurement for run in runs if (measurement := run.find(phase)) is not None}
        if found:
            name = next(iter(found.values())).case.name
            _draw_sides(axes, list(found), list(found.values()), linestyle=style, suffix=f", {name}")
    axes.set_xticks([run.threads for run in runs])
    axes.set_xlabel("threads")
    axes.set_ylim(bottom=0)


def _draw_sides(
    axes: Axes, xs: Sequence[int], measurements: Sequence[Measurement], linestyle: str = "-", suffix: str = ""
) -> None:
    ours, theirs = zip(*(median_speeds(measurement) for measurement in measurements), strict=True)
    axes.plot(xs, ours, "o", linestyle=linestyle, color=_OURS, label=f"bonsai-edge{suffix}")
    axes.plot(xs, theirs, "s", linestyle=linestyle, color=_THEIRS, label=f"llama.cpp{suffix}")


def _tokens_together(case: Case) -> int:
    return case.num_tokens if case.phase == "prefill" else case.num_sequences


def _thread_runs(results: Results, widest: Run) -> list[Run]:
    return sorted((run for run in results.runs if run.shape == widest.shape), key=lambda run: run.threads)


def _depths(run: Run) -> list[Measurement]:
    """Return the decode measurements that differ only in depth, from the shallowest."""
    alone = [each for each in run.measurements if each.case.phase == "decode" and each.case.num_sequences == 1]
    deepest = max(alone, key=lambda each: each.case.depth).case
    return sorted(
        (each for each in alone if each.case.num_tokens == deepest.num_tokens), key=lambda each: each.case.depth
    )


def _batches(run: Run) -> list[Measurement]:
    """Return the decode measurements that differ only in the number of sequences, from the smallest."""
    shallow = [each for each in run.measurements if each.case.phase == "decode" and each.case.depth == 0]
    largest = max(shallow, key=lambda each: each.case.num_sequences).case
    return sorted(
        (each for each in shallow if each.case.num_tokens == largest.num_tokens),
        key=lambda each: each.case.num_sequences,
    )
