"""How long a model takes to load: from storage, from the page cache, and with kernels that have to be compiled."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from bonsai_edge.errors import BonsaiError
from bonsai_edge.profiling.load_process import Load
from bonsai_edge.profiling.progress import Progress

_KERNEL_CACHE_VARIABLE = "BONSAI_EDGE_KERNEL_CACHE"
_LONGEST_S = 1800.0


class LoadFailedError(BonsaiError):
    """The process that loads a model for the measurement failed."""

    code = "load_failed"


class Loads(msgspec.Struct, frozen=True):
    """Loads of one model. `cold`: the file was not in the page cache; None where it could not be taken out of it.

    `first`: as `warm`, but no kernel was compiled yet; so `compile_s` more.
    """

    cold: Load | None
    warm: Load
    first: Load

    @property
    def compile_s(self) -> float:
        """What compiling adds to the very first load."""
        return max(0.0, self.first.load_s - self.warm.load_s)


def measure_loads(path: Path, keywords: Mapping[str, Any], progress: Progress) -> Loads:
    """Load a model three times, each in a fresh process; `keywords` are those of `bonsai_edge.load`.

    This process must not have the file mapped. Raises LoadFailedError.
    """
    progress.begin("load, kernels not compiled")
    with tempfile.TemporaryDirectory(prefix="bonsai-edge-") as kernels:
        first = measure_load(path, keywords, os.environ | {_KERNEL_CACHE_VARIABLE: kernels})
    progress.begin("load, file not cached")
    measure_load(path, keywords, os.environ)  # compiles for the next ones where nothing was
    cold = measure_load(path, keywords, os.environ) if _drop_from_page_cache(path) else None
    progress.begin("load, all cached")
    return Loads(cold, measure_load(path, keywords, os.environ), first)


def measure_load(path: Path, keywords: Mapping[str, Any], environment: Mapping[str, str]) -> Load:
    """Load a model in a fresh process; raises LoadFailedError."""
    command = [sys.executable, "-m", "bonsai_edge.profiling.load_process", str(path)]
    command.append(msgspec.json.encode(keywords).decode())
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, stdin=subprocess.DEVNULL, timeout=_LONGEST_S, check=True
        )
        return msgspec.json.decode(done.stdout, type=Load)
    except (subprocess.SubprocessError, msgspec.DecodeError) as exc:
        said = (getattr(exc, "stderr", None) or b"").decode(errors="replace").strip().splitlines()
        raise LoadFailedError(
            f"A process that loads {path.name} failed: {said[-1] if said else exc}.",
            "Try `bonsai-edge generate` with the same options.",
        ) from exc


def _drop_from_page_cache(path: Path) -> bool:
    """Ask the system to forget what it has read of a file; return whether it has."""
    if not hasattr(os, "posix_fadvise") or not hasattr(os, "RWF_NOWAIT"):
        return False
    with path.open("rb") as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        try:
            os.preadv(file.fileno(), [bytearray(1)], path.stat().st_size // 2, os.RWF_NOWAIT)
        except BlockingIOError:
            return True
        except OSError:  # a file system that cannot tell
            return False
    return False  # another process has it mapped
