"""Which cores a program stays on, and who goes first. Each test leaves this process as it was."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest

import bonsai_edge
from bonsai_edge import placement, runtime
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.placement import be_nice, starting_threads_on, stay_on
from bonsai_edge.reference import ReferenceBackend

pytestmark = pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")


@pytest.fixture(autouse=True)
def allowed() -> Iterator[set[int]]:
    before = os.sched_getaffinity(0)
    yield before
    os.sched_setaffinity(0, before)


def test_threads_that_are_started_stay_where_this_one_is_kept(allowed: set[int]) -> None:
    cpu = max(allowed)
    stay_on([cpu])
    seen: list[set[int]] = []
    thread = threading.Thread(target=lambda: seen.append(os.sched_getaffinity(0)))
    thread.start()
    thread.join()
    assert seen == [{cpu}]


@pytest.mark.parametrize(("cpus", "named"), [([8000], "8000"), ([8000, 8001], "8000-8001"), ([], "(none)")])
def test_cores_that_cannot_be_used_are_refused_with_those_that_can(cpus: list[int], named: str) -> None:
    with pytest.raises(
        InvalidRequestError, match=re.escape(f"The cores {named} cannot be used; this process may run on")
    ):
        stay_on(cpus)


def test_a_system_without_a_choice_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(placement.os, "sched_setaffinity")
    with pytest.raises(InvalidRequestError, match="This system does not let a program choose its cores"):
        stay_on([0])
    with starting_threads_on([0]):
        pass


def test_threads_start_on_what_may_be_used_of_the_big_cores_and_the_caller_goes_back(allowed: set[int]) -> None:
    cpu = max(allowed)
    with starting_threads_on([cpu, 8000]):
        assert os.sched_getaffinity(0) == {cpu}
    assert os.sched_getaffinity(0) == allowed
    with starting_threads_on([8000]):
        assert os.sched_getaffinity(0) == allowed


def test_niceness_that_is_refused_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(which: int, who: int, niceness: int) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(placement.os, "setpriority", refuse)
    with pytest.raises(InvalidRequestError, match="A niceness of -5 cannot be had: Permission denied"):
        be_nice(-5)


def test_options_hold_for_every_thread_of_the_program(allowed: set[int]) -> None:
    cpu = max(allowed)
    code = (
        "import os, threading, click\n"
        "from bonsai_edge.cli.options import loading_options\n"
        "@click.command()\n"
        "@loading_options\n"
        "def show(loading):\n"
        "    tell = lambda: print(os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0))\n"
        "    thread = threading.Thread(target=tell); thread.start(); thread.join()\n"
        f"show(['--cores', '{cpu}', '--nice', '19'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == f"{{{cpu}}} 19\n"


def test_what_is_no_list_of_cores_is_wrong_use() -> None:
    command = [sys.executable, "-m", "bonsai_edge", "bench", "--cores", "big"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr.endswith("Invalid value for '--cores': 'big' is no list of cores. Write it as 2-3 or 0,2,4.\n")


@pytest.mark.parametrize(("threads", "expected"), [(1, "big"), (2, "all")])
def test_a_model_computes_on_the_big_cores_unless_there_are_too_few(
    allowed: set[int], monkeypatch: pytest.MonkeyPatch, threads: int, expected: str
) -> None:
    cpu, seen = max(allowed), []
    profile = replace(runtime.device_profile(), big_cpus=(cpu,))
    load = ReferenceBackend.load

    def noting(self, *arguments):
        seen.append(os.sched_getaffinity(0))
        return load(self, *arguments)

    monkeypatch.setattr(runtime, "device_profile", lambda: profile)
    monkeypatch.setattr(ReferenceBackend, "load", noting)
    bonsai_edge.load("seedling", backend="reference", context=32, threads=threads).close()
    assert seen == [{cpu} if expected == "big" else allowed]
