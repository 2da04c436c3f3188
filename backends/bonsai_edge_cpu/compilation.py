"""How functions become kernels: compiled by Numba on first use, without the GIL, and kept on disk."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from llvmlite import binding
from numba import njit

from bonsai_edge_cpu.kernel_cache import KernelCache, kernel_folder

binding.initialize_native_asmparser()  # for what `emit.assembly` writes

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

# No kernel makes an array, so that nobody need count who refers to one: without Numba's run-time system (NRT).
_OPTIONS = {"nogil": True, "error_model": "numpy", "_nrt": False}
OPTIONS_OF_PART = _OPTIONS | {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


def compiled(function: Kernel) -> Kernel:
    """Compile a function that Python calls, on first use, without the GIL, and cache the result where that is possible.

    Numba's fast-math stays off: it would rewrite the emitted instructions as well, and with them the rounding of `exp`
    and the promise that a result does not depend on the tile it is computed in.
    """
    kernel: Any = njit(**_OPTIONS)(function)
    if kernel_folder() is not None:
        kernel._cache = KernelCache(function)
    return cast(Kernel, kernel)


def compiled_part(function: Kernel) -> Kernel:
    """Compile a function that only compiled code calls, as part of its caller.

    It has no entry from Python, which takes as long to compile as many a kernel, and no place in the cache of its own.
    """
    kernel: Any = njit(**OPTIONS_OF_PART)(function)
    return cast(Kernel, kernel)


def inlined_part(function: Kernel) -> Kernel:
    """Copy a function into each caller before compiling.

    For what is short or called once: LLVM compiles every function once more for each that calls it.
    """
    kernel: Any = njit(inline="always", **OPTIONS_OF_PART)(function)
    return cast(Kernel, kernel)
