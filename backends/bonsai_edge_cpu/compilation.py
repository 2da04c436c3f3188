"""Compiles kernels with Numba and keeps the machine code on disk.

Numba notices a change of the file that holds a function, but not of the functions and instruction emitters it is made
of. So the cache folder is named by a hash of every source file of this package, of those of core whose constants become
part of the code, and by the instruction set.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

import llvmlite
import numba
from numba import config, njit
from numba.core.caching import FunctionCache
from platformdirs import user_cache_dir

from bonsai_edge import backend
from bonsai_edge.formats import ggml_types
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
        kernel: Any = njit(nogil=True, error_model="numpy")(function)
        if folder is not None:
            kernel._cache = _ForgivingCache(function)
        return cast(Kernel, kernel)
    finally:
        config.CACHE_DIR = previous


class _ForgivingCache(FunctionCache):  # type: ignore[misc]
    """Numba's cache of one function; what a power cut or a full disk left there is compiled anew, not fatal."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            logger.warning(
                "A compiled kernel in %s cannot be read and is compiled again.", self.cache_path, exc_info=True
            )
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            self._save_over_damage(sig, data)
        except Exception:
            logger.warning("A compiled kernel cannot be kept in %s.", self.cache_path, exc_info=True)

    def _save_over_damage(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except Exception:
            logger.info("The index of %s is written anew.", self.cache_path, exc_info=True)
            self.flush()
            super().save_overload(sig, data)


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
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    core_constants = [Path(str(module.__file__)) for module in (backend, ggml_types)]
    for source in [*sorted(Path(__file__).parent.rglob("*.py")), *core_constants]:
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]
