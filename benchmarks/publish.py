"""Writes the results of `vs_llama_cpp.py` into docs/benchmarks.md and draws their plots into docs/plots.

    python benchmarks/publish.py [RESULTS.json ...]

Without files, all of benchmarks/results. Needs the extra `peer`, for Matplotlib.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from speed.page import replace_section, section
from speed.plots import draw_plots
from speed.results import read_results

_ROOT = Path(__file__).parents[1]


def publish(files: Sequence[Path], page: Path) -> None:
    """Replace the section of the page by one for each file, with plots in the folder `plots` beside the page."""
    sections = []
    for file in files:
        results = read_results(file)
        plots = draw_plots(results, page.parent / "plots")
        sections.append(section(results, [plot.relative_to(page.parent).as_posix() for plot in plots]))
    replace_section(page, "\n\n".join(sections))


def main() -> None:
    """Publish the files of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", type=Path, nargs="*")
    args = parser.parse_args()
    files = args.files or sorted((_ROOT / "benchmarks" / "results").glob("*.json"))
    if not files:
        parser.error("there are no results; run benchmarks/vs_llama_cpp.py first")
    publish(files, _ROOT / "docs" / "benchmarks.md")


if __name__ == "__main__":
    main()
