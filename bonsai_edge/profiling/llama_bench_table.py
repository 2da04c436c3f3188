"""Writes measured speeds as llama.cpp's `llama-bench` does, to be put beside its own or posted where those are."""

from __future__ import annotations

from bonsai_edge.profiling.profile import ModelProfile

_HEADER = """\
| model | size | params | backend | threads | test | t/s |
| --- | ---: | ---: | --- | ---: | ---: | ---: |
"""


def llama_bench_table(model: ModelProfile, version: str) -> str:
    """Return a table in Markdown and the build that it is of."""
    size, params = f"{model.file_bytes / (1 << 20):.2f} MiB", f"{model.num_weights / 1e9:.2f} B"
    name = model.name.replace("|", "\\|")
    rows = [
        f"| {name} | {size} | {params} | {model.backend} | {model.threads} | {test.name} | "
        f"{test.mean:.2f} ± {test.stdev:.2f} |\n"
        for test in model.speeds.tests
    ]
    return f"{_HEADER}{''.join(rows)}\nbuild: bonsai-edge {version}\n"
