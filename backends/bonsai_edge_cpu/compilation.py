"""How functions become kernels: compiled by Numba on first use, without the GIL, and kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

from bonsai_edge_cpu.kernel_cache import KernelCache, kernel_folder

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def compiled(function: Kernel) -> Kernel:
    """Compile a function on first use, without the GIL, and cache the result where that is possible.

    Numba's fast-math stays off: it would rewrite the emitted instructions as well, and with them the rounding of `exp`
    and the promise that a result does not depend on the tile it is computed in.
    """
    kernel: Any = njit(nogil=True, error_model="numpy")(function)
    if kernel_folder() is not None:
        kernel._cache = KernelCache(function)
    return cast(Kernel, kernel)
