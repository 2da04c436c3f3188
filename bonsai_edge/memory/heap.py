"""The heap of this process, as the C library keeps it."""

from __future__ import annotations

import ctypes


def give_back_free_memory() -> None:
    """Return to the system what was freed; glibc keeps tens of megabytes of small pieces otherwise, malloc_trim(3)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:  # other C libraries do it by themselves
        trim(ctypes.c_size_t(0))
