"""Compiles kernels with Numba and keeps the machine code on disk.

Numba notices a change of the file that holds a function, but not of the functions and instruction emitters it is made
of. So the cache folder is named by a hash of every source file of this package, and of the instruction set.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba import config, njit
from platformdirs import user_cache_dir

from bonsai_edge_cpu.isa.selection import selected_isa

logger = logging.getLogger(__name__)

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile a function on first use, without the GIL, and cache the result where that is possible.

    Numba's fast-math stays off: it would rewrite the emitted instructions as well, and with them the rounding of `exp`
    and the promise that a result does not depend on the tile it is computed in.
    """
    folder = cache_folder()
    previous = config.CACHE_DIR
    config.CACHE_DIR = str(folder) if folder else ""
    try:
        kernel: Kernel = njit(nogil=True, cache=folder is not None, error_model="numpy")(function)
    finally:
        config.CACHE_DIR = previous
    return kernel


@cache
def cache_folder() -> Path | None:
    """Return the folder of the compiled kernels, below NUMBA_CACHE_DIR or the user's cache; None if not writable."""
    root = Path(config.CACHE_DIR or user_cache_dir("bonsai-edge")) / "kernels"
    folder = root / f"{selected_isa().name}-{_source_hash()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        logger.warning("Compiled kernels cannot be kept in %s (%s); each start compiles them again.", folder, exc)
        return None
    if not os.access(folder, os.W_OK):
        logger.warning("Compiled kernels cannot be kept in %s; each start may compile them again.", folder)
        return None
    return folder


def _source_hash() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    package = Path(__file__).parent
    for source in sorted(package.rglob("*.py")):
        digest.update(str(source.relative_to(package)).encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
