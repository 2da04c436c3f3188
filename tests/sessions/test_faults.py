"""Whatever happens during a save, what was saved before is whole, and no litter outlives the next save."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import dying_saver
from bonsai_edge.errors import SessionStorageError
from bonsai_edge.sessions import atomic_write
from bonsai_edge.sessions.atomic_write import TEMPORARY_NAME
from bonsai_edge.sessions.store import SessionStore
from dying_saver import AFTER, BEFORE, NAME, OTHER, prepare
from faulty_os import FaultyOs, disk_failing, disk_full
from session_content import content, is_whole, proven


def child(mode: str, directory: Path) -> list[str]:
    return [sys.executable, str(dying_saver.__file__), mode, str(directory)]


def child_environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "OPENBLAS_NUM_THREADS": "1"}


def session_in(directory: Path) -> int:
    """Return the seed of the session that lies whole under the name."""
    found = proven(directory / f"{NAME}.session")
    (seed,) = [seed for seed in (BEFORE, AFTER) if is_whole(found, content(seed))]
    return seed


def assert_nothing_lost(directory: Path) -> None:
    assert session_in(directory) in (BEFORE, AFTER)
    assert is_whole(proven(directory / "other.session"), content(OTHER))
    SessionStore(directory).save(NAME, content(AFTER))
    assert session_in(directory) == AFTER
    assert not (directory / TEMPORARY_NAME).exists()
    assert {path.name for path in directory.iterdir()} == {f"{NAME}.session", "other.session", ".lock"}


@pytest.mark.parametrize(("fault", "what"), [(disk_full, "No space left on device"), (disk_failing, "Input/output")])
def test_a_disk_that_refuses_any_one_call_loses_nothing_and_leaves_no_litter(
    fault: Callable[[], None], what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(directory: Path, fault_at: int) -> list[str]:
        """Save and return the calls that write."""
        faulty = FaultyOs(fault_at, fault)
        with monkeypatch.context() as patch:
            patch.setattr(atomic_write, "os", faulty)
            SessionStore(directory).save(NAME, content(AFTER))
        return faulty.calls

    prepare(tmp_path / "whole")
    calls = save(tmp_path / "whole", -1)
    # Only this order survives a power cut: the new file is on disk before it has the name, and then the name is too.
    assert list(dict.fromkeys(calls)) == ["open", "write", "utime", "fsync", "close", "replace"]
    assert calls[-4:] == ["replace", "open", "fsync", "close"]
    outcomes = []
    for number in range(len(calls)):
        directory = tmp_path / str(number)
        prepare(directory)
        with pytest.raises(SessionStorageError, match=f"cannot be changed: {what}"):
            save(directory, number)
        outcomes.append(session_in(directory))
        assert not (directory / TEMPORARY_NAME).exists()
        assert_nothing_lost(directory)
    assert outcomes == sorted(outcomes), "once the new session is there, it stays"
    assert outcomes.count(BEFORE) > 15
    assert outcomes.count(AFTER) >= 2


def test_a_process_killed_at_any_call_of_a_save_loses_nothing(tmp_path: Path) -> None:
    subprocess.run(child("killed", tmp_path), env=child_environment(), check=True, timeout=120)
    directories = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    outcomes = [session_in(directory) for directory in directories]
    assert outcomes == sorted(outcomes)
    assert outcomes.count(BEFORE) > 15
    assert outcomes[-1] == AFTER
    assert any((directory / TEMPORARY_NAME).exists() for directory in directories), "the test must leave litter"
    for directory in directories:
        assert_nothing_lost(directory)


def test_a_limit_on_the_size_of_files_at_any_byte_loses_nothing(tmp_path: Path) -> None:
    subprocess.run(child("limited", tmp_path), env=child_environment(), check=True, timeout=120)
    directories = sorted(tmp_path.iterdir(), key=lambda path: int(path.name))
    outcomes = [session_in(directory) for directory in directories]
    assert outcomes == [BEFORE] * (len(outcomes) - 1) + [AFTER]
    assert len(outcomes) > 15
    for directory in directories:
        assert not (directory / TEMPORARY_NAME).exists()
        assert_nothing_lost(directory)


def test_a_process_killed_at_a_random_time_leaves_a_whole_session(tmp_path: Path) -> None:
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    prepare(tmp_path)
    for _ in range(4):
        with subprocess.Popen(child("repeat", tmp_path), env=child_environment(), stdout=subprocess.PIPE) as saver:
            assert saver.stdout is not None
            saver.stdout.readline()
            time.sleep(rng.uniform(0, 0.05))  # a time that nothing announces is the point
            saver.send_signal(signal.SIGKILL)
            last = int((saver.stdout.read().split() or [b"0"])[-1])
        found = proven(tmp_path / f"{NAME}.session")
        assert any(is_whole(found, content(seed)) for seed in (last, last + 1))
        assert is_whole(proven(tmp_path / "other.session"), content(OTHER))
    prepare(tmp_path)
    assert_nothing_lost(tmp_path)
