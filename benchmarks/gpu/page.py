"""The results as a page for people: tables, what was wanted, and a plot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gpu.results import (
    LEAST_RATIO,
    LEAST_TOKENS_PER_S,
    CudaResults,
    Figure,
    ModelFigures,
    Side,
    share_of_bandwidth,
)

_EMULATED = "**Emulated on the processor: these speeds say nothing about any GPU.**"


def report(results: CudaResults) -> str:
    """Return the results in Markdown."""
    facts = ", ".join(f"{name} {value}" for name, value in (results.gpu | results.versions).items())
    lines = [f"# CUDA: {results.gpu['device']}", "", *([_EMULATED, ""] if results.emulated else [])]
    idle = "unknown" if results.idle_w is None else f"{results.idle_w:.0f} W"
    lines += [
        f"`{results.command}`, {results.started}; {facts}.",
        f"Copies of the GPU's memory: {results.copy_bytes_per_s / 1e12:.3f} TB/s, read and written; idle power {idle}.",
        *(f"Note: {note}." for note in results.notes),
    ]
    for model in results.models:
        lines += ["", f"## {model.shape.name}", "", *_table(results, model)]
    if not results.emulated:
        lines += ["", *verdicts(results)]
    return "\n".join(lines)


def verdicts(results: CudaResults) -> Iterator[str]:
    """Yield for each aim of the 8B shape whether it was reached."""
    for model in results.models:
        if model.shape.name != "8b":
            continue
        for figure in model.figures:
            if figure.ratio is not None:
                yield _verdict(f"8B {figure.case.name}, ratio to llama.cpp", figure.ratio, LEAST_RATIO)
            least = LEAST_TOKENS_PER_S.get(results.gpu["device"])
            if least is not None and figure.case.phase == "decode" and figure.case.depth == 0:
                yield _verdict(f"8B {figure.case.name}, tokens/s", figure.ours.median, least)


def draw(results: CudaResults, path: Path) -> None:
    """Draw the speed of each decode case on both sides, below what the bandwidth of a copy would allow; SVG."""
    from matplotlib.figure import Figure as Canvas  # noqa: PLC0415  (the tables need no plots)

    bars = [(model, figure) for model in results.models for figure in model.figures if figure.case.phase == "decode"]
    canvas = Canvas(figsize=(1.6 * len(bars) + 2, 4), layout="constrained")
    axes = canvas.subplots()
    for offset, label, sides in (
        (-0.2, "bonsai-edge", [figure.ours for _, figure in bars]),
        (0.2, "llama.cpp", [figure.llama_cpp for _, figure in bars]),
    ):
        axes.bar(
            [i + offset for i in range(len(bars))], [side.median if side else 0 for side in sides], 0.38, label=label
        )
    limits = [_limit(results, model, figure) for model, figure in bars]
    axes.plot(range(len(bars)), limits, "k_", markersize=40, label="bandwidth of a copy")
    axes.set_xticks(range(len(bars)), [f"{model.shape.name}\n{figure.case.name}" for model, figure in bars])
    axes.set_ylabel("tokens/s, emulated" if results.emulated else "tokens/s")
    axes.set_title(results.gpu["device"])
    axes.legend()
    canvas.savefig(path)


def _table(results: CudaResults, model: ModelFigures) -> Iterator[str]:
    yield "| test | bonsai-edge | llama.cpp | ratio | share of bandwidth | llama.cpp's | J/token | llama.cpp's |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for figure in model.figures:
        shares, joules = [], []
        for side in (figure.ours, figure.llama_cpp):
            share = side and share_of_bandwidth(results, model.shape, figure.case, side.median)
            shares.append("" if share is None else f"{share:.0%}".replace("%", " %"))
            joules.append("" if side is None or side.joules_per_token is None else f"{side.joules_per_token:.3f}")
        ratio = "" if figure.ratio is None else f"**{figure.ratio:.2f}**"
        cells = [figure.case.name, _speed(figure.ours), _speed(figure.llama_cpp), ratio, *shares, *joules]
        yield "| " + " | ".join(cells) + " |"


def _speed(side: Side | None) -> str:
    if side is None:
        return ""
    return f"{side.median:,.1f} ({min(side.tokens_per_s):,.1f} to {max(side.tokens_per_s):,.1f})"


def _limit(results: CudaResults, model: ModelFigures, figure: Figure) -> float:
    share = share_of_bandwidth(results, model.shape, figure.case, 1.0)
    assert share is not None, "of decode cases only"
    return 1 / share


def _verdict(what: str, found: float, least: float) -> str:
    return f"- {what}: {found:,.2f}, wanted {least:,.2f}: {'reached' if found >= least else 'MISSED'}"
