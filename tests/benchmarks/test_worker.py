"""A worker holds an object in a process of its own, with the environment that it was given."""

import os
import signal
import subprocess
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path

import pytest

from speed.worker import Worker

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_calls_go_to_one_object_in_another_process():
    with Worker(Counter, ("a", "b", "a")) as worker:
        assert worker.call(Counter.most_common, 1) == [("a", 2)]
        worker.call(Counter.update, ("b", "b"))
        assert worker.call(Counter.most_common, 1) == [("b", 3)]


def test_the_environment_is_the_workers_alone(monkeypatch):
    monkeypatch.delenv("BONSAI_EDGE_CPU_ISA", raising=False)
    with Worker(os.getenv, "BONSAI_EDGE_CPU_ISA", environment={"BONSAI_EDGE_CPU_ISA": "avx2"}) as worker:
        assert worker.call(str.upper) == "AVX2"
    assert "BONSAI_EDGE_CPU_ISA" not in os.environ


def test_what_cannot_be_made_is_raised_here():
    with pytest.raises(ZeroDivisionError):
        Worker(divmod, 1, 0)


def test_a_worker_that_dies_is_noticed():
    with (
        Worker(import_module, "os") as worker,
        pytest.raises(RuntimeError, match=r"^The process that was measured has died\.$"),
    ):
        worker.call(os._exit, 3)


def test_the_worker_ends_when_its_parent_is_killed():
    script = (
        "import os, signal, sys; from collections import Counter; from speed.worker import Worker\n"
        "if __name__ == '__main__':\n"
        "    worker = Worker(Counter); os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    killed = subprocess.run(
        [sys.executable, "-c", script], cwd=BENCHMARKS, capture_output=True, check=False, timeout=120
    )
    # The worker inherits stdout, so that `run` returns only when it has ended too.
    assert killed.returncode == -signal.SIGKILL
