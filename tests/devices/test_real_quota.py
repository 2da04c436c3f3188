"""Threads follow a real quota of the system: cgroups of version 1 or 2, where this user may make one."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_PERIOD_US = 100_000
_V1 = Path("/sys/fs/cgroup/cpu")
_V2 = Path("/sys/fs/cgroup")
# A process of its own, in a group or not, looks at the machine and decides on threads for a large model.
_PROGRAM = """
import os, sys
for group in sys.argv[1:]:
    open(group, "w").write(str(os.getpid()))
from bonsai_edge.measuring.bonsai_shapes import BONSAI_8B
from bonsai_edge.plugin_manager import device_profile
from bonsai_edge.runtime import _choose_threads
device = device_profile()
print(device.usable_cores, device.core_limit_source, _choose_threads(BONSAI_8B.checkpoint(), device))
"""


def cores_and_threads(*groups: Path) -> list[str]:
    """Return usable cores, what binds them, and threads, of a process that joins these groups first."""
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two processors")
    command = [sys.executable, "-c", _PROGRAM, *(str(group / "cgroup.procs") for group in groups)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip().rsplit(maxsplit=1)


@pytest.fixture
def quota_group() -> Iterator[Path]:
    """Make a control group that may use one core's worth of time."""
    parent, is_v1 = (_V1, True) if (_V1 / "cpu.cfs_period_us").exists() else (_V2, False)
    group = parent / f"bonsai-edge-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as exc:
        pytest.skip(f"control groups that may be made here: {exc}")
    try:
        if is_v1:
            (group / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
            (group / "cpu.cfs_quota_us").write_text(str(_PERIOD_US))
        elif not (group / "cpu.max").exists():
            pytest.skip("the cpu controller in control groups that this user may make")
        else:
            (group / "cpu.max").write_text(f"{_PERIOD_US} {_PERIOD_US}")
        yield group
    finally:
        group.rmdir()


def test_a_quota_of_one_core_makes_it_one_thread(quota_group: Path) -> None:
    assert cores_and_threads(quota_group) == ["1 cgroup", "1"]
    cores, threads = cores_and_threads()  # the same machine outside, so that the one is the quota's doing
    assert int(threads) == int(cores.split()[0]) > 1
