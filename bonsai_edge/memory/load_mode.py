"""Whether weights are used where their file is mapped or copied, and what `auto` makes of the storage they lie on."""

from __future__ import annotations

import errno
import mmap
import os
import random
import statistics
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psutil

from bonsai_edge.formats.uncached_reading import open_uncached

# File systems whose files can vanish under a mapping, which ends a process by SIGBUS, and whose pages come from another
# machine or process, in small pieces once memory was short. FUSE is one, whatever comes after the word.
_REMOTE = ("9p", "afpfs", "afs", "ceph", "cifs", "drvfs", "nfs", "prl_fs", "smb", "vboxsf", "virtiofs", "webdav")
_FUSE = ("fuse", "macfuse", "osxfuse")

_PIECE_BYTES = 1 << 20
_MOST_PIECES = 16
_MOST_S = 0.5
_LONGEST_RETURN_S = 10.0  # of all weights: a token that waits for them longer is of no use to anybody


class LoadMode(Enum):
    """How weights are loaded.

    MMAP: used where the file is mapped, so that the system shares them between processes and may evict them.
    READ: copied into memory of this process. AUTO: what `choose_load_mode` says.
    """

    AUTO = "auto"
    MMAP = "mmap"
    READ = "read"


@dataclass(frozen=True)
class LoadChoice:
    """MMAP or READ, and why, in half a sentence."""

    mode: LoadMode
    reason: str


def choose_load_mode(asked: LoadMode, path: Path) -> LoadChoice:
    """Take the mode that was asked for, or choose one for the storage that a file lies on.

    What is mapped can be evicted, and then a token waits for the storage. From network and FUSE file systems, and from
    storage that is measured to need more than ten seconds for all weights, they are copied.
    """
    if asked is not LoadMode.AUTO:
        return LoadChoice(asked, "asked for")
    file_system = file_system_of(path)
    if file_system.startswith((*_REMOTE, *_FUSE)):
        return LoadChoice(LoadMode.READ, f"files on {file_system} can vanish while they are mapped")
    try:
        bytes_per_s = measure_scattered_speed(path)
    except OSError as exc:
        reason = f"{file_system or 'this file system'} cannot be measured past the page cache ({exc.strerror})"
        return LoadChoice(LoadMode.MMAP, reason)
    seconds = path.stat().st_size / bytes_per_s
    mode = LoadMode.READ if seconds > _LONGEST_RETURN_S else LoadMode.MMAP
    return LoadChoice(mode, f"evicted ones would be back in {seconds:.1f} s, at {bytes_per_s / 1e6:,.0f} MB/s")


def file_system_of(path: Path) -> str:
    """Return the type of the file system that a file lies on, as the system calls it; "" if that is not known."""
    resolved = path.resolve()
    mounts = {Path(mount.mountpoint): mount.fstype for mount in psutil.disk_partitions(all=True)}  # the last one covers
    return next((mounts[parent] for parent in resolved.parents if parent in mounts), "")


def measure_scattered_speed(path: Path) -> float:
    """Read up to 16 pieces of 1 MiB from all over a file, past the page cache; return the median of their bytes/s.

    It takes half a second, or as long as one piece. Raises OSError where the file system cannot be read past the cache.
    """
    speeds: list[float] = []
    starts = range(0, path.stat().st_size, _PIECE_BYTES)
    with open_uncached(path) as descriptor, mmap.mmap(-1, _PIECE_BYTES) as memory:
        began = now = time.perf_counter()
        for start in random.sample(starts, min(_MOST_PIECES, len(starts))):
            num_bytes, asked = os.preadv(descriptor, [memory], start), now
            now = time.perf_counter()
            speeds.append(num_bytes / (now - asked))
            if now - began > _MOST_S:
                break
    if not any(speeds):
        raise OSError(errno.ENODATA, "the file is empty")
    return statistics.median(speeds)
