import ctypes
import sys
from types import SimpleNamespace

import psutil
import pytest

from bonsai_edge.memory.heap import give_back_free_memory


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="is of glibc")
def test_what_was_freed_in_small_pieces_leaves_the_process() -> None:
    library, process = ctypes.CDLL(None), psutil.Process()
    library.malloc.restype = ctypes.c_void_p
    pieces = [library.malloc(ctypes.c_size_t(20_000)) for _ in range(5_000)]  # small enough for the heap
    for piece in pieces:
        ctypes.memset(piece, 1, 20_000)
    for piece in pieces[:-1]:  # the last one keeps the heap from shrinking by itself
        library.free(ctypes.c_void_p(piece))
    before = process.memory_info().rss
    give_back_free_memory()
    assert before - process.memory_info().rss > 80_000_000
    library.free(ctypes.c_void_p(pieces[-1]))


def test_other_c_libraries_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    give_back_free_memory()
