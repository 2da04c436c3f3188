"""The bandwidth at which this machine reads memory: the ceiling of decoding, which reads every weight once a token.

Each thread combines its own block of 64-bit words with `or`: one cheap instruction a word, so that memory and not
arithmetic sets the pace, and NumPy releases the GIL meanwhile. A C loop, compiled with -O3 for the machine, reads no
faster. What comes out is the sequential read bandwidth of so many threads. Where the last-level cache holds a good
part of the blocks, as on some large servers, it is too high.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

_MOST_BYTES = 256 << 20  # many times the cache of any board, desktop or phone
_SHARE_OF_AVAILABLE = 8
_REPETITIONS = 10


def measure_read_bandwidth(num_threads: int, available_bytes: int) -> float:
    """Return the best of several readings, in bytes/s, of all threads together.

    Takes 256 MiB of memory, or an eighth of `available_bytes` where that is less, for a fraction of a second.
    """
    total_bytes = min(_MOST_BYTES, available_bytes // _SHARE_OF_AVAILABLE)
    num_words = max(1, total_bytes // num_threads // 8)
    # Written, not merely reserved: untouched pages would all be one page of zeros, and that one lies in the cache.
    blocks = [np.ones(num_words, np.uint64) for _ in range(num_threads)]
    start = threading.Barrier(num_threads)

    def read(block: npt.NDArray[np.uint64]) -> list[tuple[float, float]]:
        spans = []
        for _ in range(_REPETITIONS):
            start.wait()
            began = time.perf_counter()
            np.bitwise_or.reduce(block)
            spans.append((began, time.perf_counter()))
        return spans

    with ThreadPoolExecutor(num_threads) as pool:
        spans_by_thread = list(pool.map(read, blocks))
    durations: list[float] = [
        max(end for _, end in spans) - min(began for began, _ in spans) for spans in zip(*spans_by_thread, strict=True)
    ]
    return sum(block.nbytes for block in blocks) / min(durations)
