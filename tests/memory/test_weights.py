import ctypes
import errno
import mmap
import os
import resource
import sys
from pathlib import Path

import pytest

from bonsai_edge.errors import InsufficientMemoryError, ModelNotFoundError
from bonsai_edge.formats.checkpoint import Checkpoint, open_checkpoint
from bonsai_edge.memory import weights
from bonsai_edge.memory.load_mode import LoadMode
from bonsai_edge.memory.weights import bring_weights_in, let_go, require_lockable
from gguf_files import write_random_model

MIB = 1 << 20
LOCK_REMEDY = (
    "Raise it (`ulimit -l unlimited`; LimitMEMLOCK=infinity in a systemd unit; --ulimit memlock=-1 for Docker), or "
    "load without --lock."
)


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    return open_checkpoint(write_random_model(tmp_path / "model.gguf", tied=False))


def test_copied_weights_are_the_files_and_outlive_it(checkpoint: Checkpoint) -> None:
    copied = bring_weights_in(checkpoint, LoadMode.READ, lock=False)
    checkpoint.path.write_bytes(b"\0" * checkpoint.num_bytes)  # the mapping shows it, the copy does not
    name = "blk.0.attn_q.weight"
    assert not checkpoint.tensors[name].packed.any()
    assert copied.tensors[name].packed.any()
    assert not copied.tensors[name].packed.flags.writeable
    assert copied.spec == checkpoint.spec


def test_mapped_weights_stay_where_they_are(checkpoint: Checkpoint) -> None:
    assert bring_weights_in(checkpoint, LoadMode.MMAP, lock=False) is checkpoint


def test_file_that_vanished_is_refused(checkpoint: Checkpoint) -> None:
    checkpoint.path.unlink()
    with pytest.raises(ModelNotFoundError) as caught:
        bring_weights_in(checkpoint, LoadMode.MMAP, lock=False)
    assert str(caught.value) == (
        f"{checkpoint.path} cannot be read: No such file or directory. Check the storage that it lies on."
    )


class FakeSystem:
    """Remembers what was locked, or refuses it."""

    def __init__(self, refusal: int = 0) -> None:
        self.refusal = refusal
        self.locked: list[tuple[int, int]] = []
        self.mapped: list[tuple[int, int]] = []

    def mlock(self, start: ctypes.c_void_p, num_bytes: ctypes.c_size_t) -> int:
        assert start.value is not None
        self.locked.append((start.value, num_bytes.value))
        ctypes.set_errno(self.refusal)
        return -1 if self.refusal else 0

    def madvise(self, start: ctypes.c_void_p, num_bytes: ctypes.c_size_t, advice: ctypes.c_int) -> int:
        assert start.value is not None
        assert start.value % mmap.PAGESIZE == 0
        assert advice.value == 22  # MADV_POPULATE_READ
        self.mapped.append((start.value, num_bytes.value))
        return -1 if self.refusal else 0


@pytest.mark.skipif(sys.platform != "linux", reason="an advice of Linux")
@pytest.mark.parametrize("refusal", [0, errno.EINVAL])  # by a kernel before 5.14, where page faults do it later
def test_pages_of_all_weights_but_a_separate_embedding_are_mapped_before_the_first_token(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    system = FakeSystem(refusal)
    monkeypatch.setattr(weights, "_system", lambda: system)
    bring_weights_in(checkpoint, LoadMode.MMAP, lock=False)
    wanted = {tensor.packed.ctypes.data + tensor.num_bytes for tensor in checkpoint.tensors.values()}
    embedding = checkpoint.tensors["token_embd.weight"]
    wanted.remove(embedding.packed.ctypes.data + embedding.num_bytes)
    assert {start + num_bytes for start, num_bytes in system.mapped} == wanted


@pytest.mark.parametrize("mode", [LoadMode.MMAP, LoadMode.READ])
def test_locking_covers_every_weight_once(checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch, mode) -> None:
    system = FakeSystem()
    monkeypatch.setattr(weights, "_system", lambda: system)
    held = bring_weights_in(checkpoint, mode, lock=True)
    [(start, num_bytes)] = system.locked
    for tensor in held.tensors.values():
        assert start <= tensor.packed.ctypes.data
        assert tensor.packed.ctypes.data + tensor.num_bytes <= start + num_bytes
    assert num_bytes <= checkpoint.num_bytes


def test_refused_lock_names_the_limit_and_how_to_raise_it(
    checkpoint: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "_system", lambda: FakeSystem(errno.ENOMEM))
    monkeypatch.setattr(resource, "getrlimit", lambda which: (8 * MIB, 8 * MIB))
    with pytest.raises(InsufficientMemoryError) as caught:
        bring_weights_in(checkpoint, LoadMode.MMAP, lock=True)
    assert caught.value.cause == (
        "1 MiB of weights cannot be locked into memory (Cannot allocate memory); RLIMIT_MEMLOCK is 8 MiB."
    )
    assert caught.value.remedy == LOCK_REMEDY


def test_lock_that_is_known_to_be_refused_is_refused_before_anything_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda which: (8 * MIB, 8 * MIB))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    require_lockable(8 * MIB)
    with pytest.raises(
        InsufficientMemoryError, match=r"^9 MiB of weights cannot be locked .* RLIMIT_MEMLOCK is 8 MiB\."
    ):
        require_lockable(8 * MIB + 1)
    monkeypatch.setattr(os, "geteuid", lambda: 0)  # who may have the right to lock more
    require_lockable(9 * MIB)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(resource, "getrlimit", lambda which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    require_lockable(1 << 50)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/self/smaps is Linux's")
def test_mapped_weights_that_are_let_go_leave_the_process_and_can_be_read_again(tmp_path: Path) -> None:
    path = write_random_model(tmp_path / "model.gguf", layers=4, ggml_type="F32")
    mapped = bring_weights_in(open_checkpoint(path), LoadMode.MMAP, lock=False)
    before = {name: tensor.packed.tobytes() for name, tensor in mapped.tensors.items()}
    assert _resident_kib(path) * 1024 > 0.9 * mapped.num_bytes
    let_go(mapped)
    assert _resident_kib(path) * 1024 < 0.1 * mapped.num_bytes
    assert {name: tensor.packed.tobytes() for name, tensor in mapped.tensors.items()} == before


def _resident_kib(path: Path) -> int:
    """Return how much of a mapped file is in the memory of this process."""
    lines = iter(Path("/proc/self/smaps").read_text().splitlines())
    return sum(
        next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))
        for mapping in lines
        if mapping.endswith(str(path))
    )
