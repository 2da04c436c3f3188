"""The arguments of a step as one flat table of 64-bit numbers, for kernels that were compiled ahead of time.

A named tuple becomes its fields one after the other. An array becomes what Numba passes for one: two numbers that
nobody reads (who owns the memory), the elements, the bytes of one, the address, then the lengths and the distances in
bytes along each axis.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Argument: TypeAlias = "int | np.float32 | npt.NDArray[np.generic] | tuple[Argument, ...]"


def flatten(argument: Argument) -> Iterator[int]:
    """Yield an argument as 64-bit numbers; a float32 as its bits."""
    if isinstance(argument, tuple):
        for field in argument:
            yield from flatten(field)
    elif isinstance(argument, np.ndarray):
        yield from (0, 0, argument.size, argument.itemsize, argument.ctypes.data, *argument.shape, *argument.strides)
    elif isinstance(argument, np.float32):
        yield int(argument.view(np.uint32))
    else:
        yield argument


def signature(argument: Argument) -> str:
    """Return the types of an argument: what must agree between the caller and the kernels, and nothing else.

    Fields stand in brackets; an array is its dtype, its axes and, if it is contiguous, a C, such as "i4-2C".
    """
    if isinstance(argument, tuple):
        return f"({' '.join(signature(field) for field in argument)})"
    if isinstance(argument, np.ndarray):
        kind = f"{argument.dtype.kind}{argument.itemsize}-{argument.ndim}"
        return kind + "C" if argument.flags.c_contiguous else kind
    return "f4" if isinstance(argument, np.float32) else "i8"
