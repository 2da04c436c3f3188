"""The whole comparison, from the command line to the page, with a tiny model."""

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from random_bonsai import cached_random_bonsai

pytestmark = pytest.mark.peer
pytest.importorskip("llama_cpp", reason="llama-cpp-python is not installed (extra `peer`)")
pytest.importorskip("matplotlib", reason="Matplotlib is not installed (extra `peer`)")

from publish import publish  # noqa: E402
from speed.page import BEGIN, END  # noqa: E402
from speed.results import read_results  # noqa: E402

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "vs_llama_cpp.py"
ARGUMENTS = shlex.split("-t 1 -r 2 -n 4 -p 40 -d 0 40 100 --depth-tokens 3 -b 1 2 --batch-tokens 2")


def test_a_run_measures_every_case_and_can_be_published(tmp_path):
    out, page = tmp_path / "results.json", tmp_path / "benchmarks.md"
    command = [sys.executable, str(SCRIPT), "--model", str(cached_random_bonsai("tiny")), "--out", str(out), *ARGUMENTS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, done.stderr
    assert "random-tiny, 1 threads, round 2 of 2: tg4 " in done.stderr
    assert "| tg3 @ d100 | " in done.stdout
    (run,) = read_results(out).runs
    cases = [measurement.case.name for measurement in run.measurements]
    assert cases == ["tg4", "pp40", "tg3", "tg3 @ d40", "tg3 @ d100", "tg2", "tg2 x 2"]
    for measurement in run.measurements:
        assert len(measurement.ours) == len(measurement.llama_cpp) == 2
        assert min(*measurement.ours, *measurement.llama_cpp) > 0
    assert run.roofs[0].read_bytes_per_s > 1e8
    page.write_text(f"{BEGIN}\n{END}\n")
    publish([out], page)
    assert "**random-tiny, 1 thread**" in page.read_text()
    assert len(list((tmp_path / "plots").glob("*-depth.svg"))) == 1
