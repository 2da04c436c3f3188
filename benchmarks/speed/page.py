"""Writes results as the Markdown section of docs/benchmarks.md, between its two markers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from speed.goals import judge
from speed.results import Measurement, Results, Run
from speed.summary import Spread, bandwidth_shares, median_roofs, ratios, spread

BEGIN = "<!-- speed: begin, written by benchmarks/publish.py -->"
END = "<!-- speed: end -->"


def replace_section(page: Path, section: str) -> None:
    """Put the section between the markers of the page; raises ValueError where they are missing."""
    text = page.read_text(encoding="utf-8")
    before, found_begin, rest = text.partition(BEGIN)
    _, found_end, after = rest.partition(END)
    if not found_begin or not found_end:
        raise ValueError(f"{page} has no section between {BEGIN!r} and {END!r}. Put both lines where it belongs.")
    page.write_text(f"{before}{BEGIN}\n\n{section}\n\n{END}{after}", encoding="utf-8")


def section(results: Results, plots: Sequence[str]) -> str:
    """Return the section of one machine; `plots` are links to pictures, relative to the page."""
    machine = results.machine
    held = f", ours held to {results.isa}" if results.isa else ""
    heading = f"### {machine.processor or machine.name}, {machine.usable_cores} cores{held}"
    pictures = [f"![{_caption(plot)}]({plot})" for plot in plots]
    return "\n\n".join([heading, _provenance(results), report(results), *pictures])


def report(results: Results) -> str:
    """Return the tables of all runs and, last, that of the goals."""
    tables = [*(_run_table(run) for run in results.runs), _goals_table(results)]
    return "\n\n".join(table for table in tables if table)


def _goals_table(results: Results) -> str:
    """Return one column of targets and one of figures for each shape; empty for shapes without goals."""
    verdicts = judge(results)
    if not verdicts:
        return ""
    shapes = list(dict.fromkeys(verdict.shape for verdict in verdicts))
    rows: dict[str, list[str]] = {}
    for verdict in verdicts:
        row = rows.setdefault(verdict.goal.title, [verdict.goal.title])
        row += [f"≥ {verdict.goal.format(verdict.least)}", verdict.text]
    titles = ["goal", *(title for shape in shapes for title in (f"{shape}: target", "reached"))]
    return _table(titles, list(rows.values()))


def _provenance(results: Results) -> str:
    machine, versions = results.machine, results.versions
    commit = f", commit {versions.commit}" if versions.commit else ""
    sides = dict.fromkeys((run.ours, run.llama_cpp) for run in results.runs)
    built = "; ".join(f"backend {ours}, llama.cpp with {theirs}" for ours, theirs in sides)
    return (
        f"{results.started:%Y-%m-%d %H:%M} UTC on {machine.name} ({machine.architecture}, "
        f"{machine.memory_bytes / 1e9:.0f} GB, {machine.system}), load average before: {machine.load_average:.2f}. "
        f"bonsai-edge {versions.bonsai_edge}{commit}, Python {versions.python}, Numba {versions.numba}, NumPy "
        f"{versions.numpy}, llama-cpp-python {versions.llama_cpp_python}: {built}.\n\n```\n{results.command}\n```"
    )


def _run_table(run: Run) -> str:
    roofs = median_roofs(run)
    limits = (
        f"**{run.shape.name}, {run.threads} {'thread' if run.threads == 1 else 'threads'}**: "
        f"{run.shape.weight_bytes / 1e6:,.1f} MB of weights a token, {run.shape.kv_bytes / 1e3:,.1f} kB for each token "
        f"of context; memory is read at {roofs.read_bytes_per_s / 1e9:.1f} GB/s "
        f"({_range(spread(each.read_bytes_per_s / 1e9 for each in run.roofs))})."
    )
    titles = ["test", "bonsai-edge", "llama.cpp", "ratio", "share of bandwidth", "llama.cpp's"]
    return f"{limits}\n\n{_table(titles, [list(_cells(run, measurement)) for measurement in run.measurements])}"


def _cells(run: Run, measurement: Measurement) -> Iterator[str]:
    case, ours, theirs = measurement.case, measurement.ours, measurement.llama_cpp
    yield case.name
    yield _with_range(spread(ours))
    yield _with_range(spread(theirs))
    ratio = spread(ratios(ours, theirs))
    yield f"**{ratio.median:.2f}** ({ratio.least:.2f} to {ratio.most:.2f})"
    for speeds in (ours, theirs):
        yield (
            f"{spread(bandwidth_shares(run, case, speeds)).median:.0%}".replace("%", " %")
            if case.phase == "decode"
            else ""
        )


def _with_range(figures: Spread) -> str:
    return f"{figures.median:.1f} ({_range(figures)})"


def _range(figures: Spread) -> str:
    return f"{figures.least:.1f} to {figures.most:.1f}"


def _caption(plot: str) -> str:
    return Path(plot).stem.rpartition("-")[2]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = "|---|" + "---:|" * (len(titles) - 1)
    return "\n".join(["| " + " | ".join(titles) + " |", rule, *("| " + " | ".join(row) + " |" for row in rows)])
