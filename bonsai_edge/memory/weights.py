"""How the weights come into memory and stay there: mapped and read ahead, or copied; locked if that is wanted."""

from __future__ import annotations

import ctypes
import errno
import mmap
import os
import resource
import sys
from functools import cache

from bonsai_edge.errors import InsufficientMemoryError, ModelNotFoundError
from bonsai_edge.formats.checkpoint import Checkpoint, open_checkpoint
from bonsai_edge.formats.sequential_reading import read_ahead
from bonsai_edge.memory.load_mode import LoadMode
from bonsai_edge.memory.size import MIB

_MADV_POPULATE_READ = 22  # of Linux from 5.14 on; Python does not name it


def bring_weights_in(checkpoint: Checkpoint, mode: LoadMode, *, lock: bool) -> Checkpoint:
    """Return the checkpoint with its weights in memory, its own or the page cache's, and locked there if wanted.

    Raises ModelNotFoundError for what cannot be read and InsufficientMemoryError for what cannot be locked.
    """
    if mode is LoadMode.READ:
        checkpoint = open_checkpoint(checkpoint.path, in_memory=True)
    else:
        try:
            read_ahead(checkpoint.path)
        except OSError as exc:
            raise ModelNotFoundError(
                f"{checkpoint.path} cannot be read: {exc.strerror}.", "Check the storage that it lies on."
            ) from exc
        _map_pages(checkpoint)
    if lock:
        _lock(checkpoint)
    return checkpoint


def let_go(checkpoint: Checkpoint) -> None:
    """Take mapped weights out of this process's memory after something has copied them; they can still be read.

    The system keeps them as file cache as long as it likes. Only for weights that are mapped: the content of memory
    that is not would be lost.
    """
    if sys.platform == "linux":
        start, num_bytes = _extent(checkpoint)
        page_start = start - start % mmap.PAGESIZE
        _system().madvise(
            ctypes.c_void_p(page_start),
            ctypes.c_size_t(start + num_bytes - page_start),
            ctypes.c_int(mmap.MADV_DONTNEED),
        )


def require_lockable(num_bytes: int) -> None:
    """Raise InsufficientMemoryError if it is clear already that so much memory cannot be locked."""
    allowed_bytes, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if os.geteuid() != 0 and allowed_bytes != resource.RLIM_INFINITY and allowed_bytes < num_bytes:
        raise _lock_error(num_bytes, os.strerror(errno.ENOMEM))


def _map_pages(checkpoint: Checkpoint) -> None:
    """Enter what each token needs into the process's page table, so that the first does not wait for page faults.

    Where the system cannot do that at once the first token does it. An embedding that is not the output matrix, too, is
    left alone: a token needs one row of it.
    """
    if sys.platform != "linux":
        return
    for name, tensor in checkpoint.tensors.items():
        if name != "token_embd.weight" or checkpoint.spec.tied_embeddings:
            start = tensor.packed.ctypes.data
            page_start = start - start % mmap.PAGESIZE
            _system().madvise(
                ctypes.c_void_p(page_start),
                ctypes.c_size_t(start + tensor.num_bytes - page_start),
                ctypes.c_int(_MADV_POPULATE_READ),
            )


def _lock(checkpoint: Checkpoint) -> None:
    """Keep the weights in memory until they are unmapped, mlock(2)."""
    start, num_bytes = _extent(checkpoint)
    if _system().mlock(ctypes.c_void_p(start), ctypes.c_size_t(num_bytes)) != 0:
        raise _lock_error(num_bytes, os.strerror(ctypes.get_errno()))


def _extent(checkpoint: Checkpoint) -> tuple[int, int]:
    """Return the address of the first tensor, and the bytes from there to the end of the last."""
    starts = [tensor.packed.ctypes.data for tensor in checkpoint.tensors.values()]
    ends = [tensor.packed.ctypes.data + tensor.num_bytes for tensor in checkpoint.tensors.values()]
    return min(starts), max(ends) - min(starts)


@cache
def _system() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _lock_error(num_bytes: int, reason: str) -> InsufficientMemoryError:
    allowed_bytes, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    allowed = "no limit" if allowed_bytes == resource.RLIM_INFINITY else f"{allowed_bytes // MIB:,} MiB"
    weights = f"{-(-num_bytes // MIB):,} MiB of weights"
    return InsufficientMemoryError(
        f"{weights} cannot be locked into memory ({reason}); RLIMIT_MEMLOCK is {allowed}.",
        "Raise it (`ulimit -l unlimited`; LimitMEMLOCK=infinity in a systemd unit; --ulimit memlock=-1 for Docker), or "
        "load without --lock.",
    )
