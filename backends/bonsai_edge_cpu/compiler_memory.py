"""Lets go of the compiler's memory once the kernels are there."""

from __future__ import annotations

import ctypes
import mmap
import re
from pathlib import Path

_MAPS = Path("/proc/self/maps")
_CODE_OF_LLVM = re.compile(r"^([0-9a-f]+)-([0-9a-f]+) r-xp .*/libllvmlite\.so$", re.MULTILINE)


def release_compiler_code() -> int:
    """Give the resident pages of LLVM's code back to the system and return how many bytes are mapped there.

    Running kernels needs none of it, and it is some 50 MB. The mapping stays: code that is run again is read from the
    page cache or the file, as any page of a program is. Only code is touched, which nobody writes to. Linux only; 0
    elsewhere.
    """
    if not _MAPS.exists():
        return 0
    num_bytes = 0
    for start, end in _CODE_OF_LLVM.findall(_MAPS.read_text()):
        size = int(end, 16) - int(start, 16)
        if ctypes.CDLL(None).madvise(ctypes.c_void_p(int(start, 16)), ctypes.c_size_t(size), mmap.MADV_DONTNEED) == 0:
            num_bytes += size
    return num_bytes
