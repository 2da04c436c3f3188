import errno
import os
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from bonsai_edge.memory import load_mode
from bonsai_edge.memory.load_mode import (
    LoadChoice,
    LoadMode,
    choose_load_mode,
    file_system_of,
    measure_scattered_speed,
)

Mount = Callable[[str], Path]
MB = 1_000_000


@pytest.fixture
def mount(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Mount:
    """Return a function that pretends that a file of 100 MB, mostly a hole, lies on a file system, and returns it."""

    def mount(file_system: str) -> Path:
        mounts = [("/", "ext4"), (str(tmp_path), "tmpfs"), (str(tmp_path), file_system), (str(tmp_path) + "2", "nfs")]
        partitions = [SimpleNamespace(mountpoint=point, fstype=fstype) for point, fstype in mounts]
        monkeypatch.setattr(psutil, "disk_partitions", lambda all: partitions)
        path = tmp_path / "models" / "model.gguf"
        path.parent.mkdir()
        path.touch()
        os.truncate(path, 100 * MB)
        return path

    return mount


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> Callable[[float | OSError], None]:
    """Return a function that sets the speed in bytes/s that will be measured, or the error that measuring ends in."""

    def storage(outcome: float | OSError) -> None:
        def measure(path: Path) -> float:
            if isinstance(outcome, OSError):
                raise outcome
            return outcome

        monkeypatch.setattr(load_mode, "measure_scattered_speed", measure)

    return storage


@pytest.mark.parametrize("file_system", ["ext4", "btrfs", "overlay", "apfs", "vfat", ""])
def test_weights_are_mapped_from_local_storage_that_could_bring_them_back_soon(mount: Mount, storage, file_system):
    storage(10 * MB)
    assert choose_load_mode(LoadMode.AUTO, mount(file_system)) == LoadChoice(
        LoadMode.MMAP, "evicted ones would be back in 10.0 s, at 10 MB/s"
    )


def test_weights_are_copied_from_local_storage_that_would_take_long(mount: Mount, storage) -> None:
    storage(9.9 * MB)
    assert choose_load_mode(LoadMode.AUTO, mount("ext4")) == LoadChoice(
        LoadMode.READ, "evicted ones would be back in 10.1 s, at 10 MB/s"
    )


@pytest.mark.parametrize("file_system", ["nfs4", "cifs", "smb3", "9p", "virtiofs", "fuse.sshfs", "fuseblk", "macfuse"])
def test_weights_of_a_network_or_fuse_file_system_are_copied_however_fast_it_is(mount: Mount, storage, file_system):
    storage(1e12)
    assert choose_load_mode(LoadMode.AUTO, mount(file_system)) == LoadChoice(
        LoadMode.READ, f"files on {file_system} can vanish while they are mapped"
    )


def test_storage_that_cannot_be_measured_is_taken_for_fast_and_that_is_said(mount: Mount, storage) -> None:
    storage(OSError(errno.EINVAL, "Invalid argument"))
    assert choose_load_mode(LoadMode.AUTO, mount("tmpfs")) == LoadChoice(
        LoadMode.MMAP, "tmpfs cannot be measured past the page cache (Invalid argument)"
    )


def test_mode_that_was_asked_for_stays(mount: Mount, storage) -> None:
    storage(1.0)
    path = mount("nfs")
    assert choose_load_mode(LoadMode.MMAP, path) == LoadChoice(LoadMode.MMAP, "asked for")
    assert choose_load_mode(LoadMode.READ, path) == LoadChoice(LoadMode.READ, "asked for")


@pytest.mark.parametrize("num_bytes", [1, 5000, (1 << 20) + 5, 9 << 20])
def test_what_is_measured_is_the_speed_of_a_real_storage(tmp_path: Path, num_bytes: int) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(os.urandom(num_bytes))
    try:
        assert 0 < measure_scattered_speed(path) < 1e12
    except OSError as exc:
        if exc.errno == errno.EINVAL:
            pytest.skip("this file system cannot be read past the cache")
        raise


def test_measuring_stops_when_it_takes_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(bytes(5 << 20))
    clock = iter(range(2))  # looked at before the first piece and after it
    monkeypatch.setattr(load_mode.time, "perf_counter", lambda: next(clock))
    try:
        assert measure_scattered_speed(path) == 1 << 20
    except OSError as exc:
        if exc.errno == errno.EINVAL:
            pytest.skip("this file system cannot be read past the cache")
        raise


def test_an_empty_file_has_no_speed(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.touch()
    with pytest.raises(OSError, match=r"the file is empty|Invalid argument"):
        measure_scattered_speed(path)


def test_link_counts_as_the_file_that_it_names(mount: Mount, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(mount("nfs"))
    assert file_system_of(tmp_path / "link") == "nfs"


def test_a_real_file_lies_on_a_known_file_system(tmp_path: Path) -> None:
    assert file_system_of(tmp_path / "model.gguf")
