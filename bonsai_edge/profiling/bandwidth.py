"""The bandwidth at which this machine reads memory: the ceiling of decoding, which reads every weight once a token.

Each thread combines its own block of 64-bit words with `or`: one cheap instruction a word, so that memory and not
arithmetic sets the pace, and NumPy releases the GIL meanwhile. A C loop, compiled with -O3 for the machine, reads no
faster. What comes out is the sequential read bandwidth of so many threads. Where the last-level cache holds a good
part of the blocks, as on some large servers, it is too high.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import partial

import msgspec
import numpy as np
import numpy.typing as npt

from bonsai_edge.cpu_list import parse_cpu_list
from bonsai_edge.device_description import Cluster
from bonsai_edge.profiling.together import best_time_together

_MOST_BYTES = 256 << 20  # many times the cache of any board, desktop or phone
_SHARE_OF_AVAILABLE = 8
_REPETITIONS = 10


class Bandwidth(msgspec.Struct, frozen=True):
    """What so many threads read and copy; a copied byte counts twice, as it is read and written.

    `cpus` are the logical processors of a cluster that the threads were kept on, None if they ran where they liked.
    """

    threads: int
    cpus: str | None
    read_bytes_per_s: float
    copy_bytes_per_s: float


def measure_read_bandwidth(num_threads: int, available_bytes: int, cpus: Collection[int] | None = None) -> float:
    """Return the best of several readings, in bytes/s, of all threads together.

    Takes 256 MiB of memory, or an eighth of `available_bytes` where that is less, for a fraction of a second.
    """
    blocks = _blocks(num_threads, available_bytes)
    seconds = best_time_together([partial(np.bitwise_or.reduce, block) for block in blocks], _REPETITIONS, cpus)
    return sum(block.nbytes for block in blocks) / seconds


def measure_copy_bandwidth(num_threads: int, available_bytes: int, cpus: Collection[int] | None = None) -> float:
    """Return the same for copying one block over another, the bytes read and the bytes written together."""
    blocks = _blocks(2 * num_threads, available_bytes)
    copies = [partial(np.copyto, *pair) for pair in zip(blocks[::2], blocks[1::2], strict=True)]
    return sum(block.nbytes for block in blocks) / best_time_together(copies, _REPETITIONS, cpus)


def measure_bandwidths(
    num_cores: int, clusters: Sequence[Cluster], available_bytes: int, usable_cpus: Collection[int]
) -> Iterator[Bandwidth]:
    """Measure with one thread, two, four and so on up to one a core; then with all cores of each kind by themselves.

    Only what of a cluster this process may use counts.
    """
    counts = sorted({min(1 << power, num_cores) for power in range(num_cores.bit_length() + 1)})
    for num_threads in counts:
        yield _measure(num_threads, available_bytes, None, None)
    if len(clusters) > 1:
        for cluster in clusters:
            cpus = set(parse_cpu_list(cluster.cpus or "") or ()) & set(usable_cpus)
            if cpus:
                yield _measure(min(cluster.num_cores, len(cpus)), available_bytes, cluster.cpus, cpus)


def _measure(num_threads: int, available_bytes: int, name: str | None, cpus: Collection[int] | None) -> Bandwidth:
    return Bandwidth(
        threads=num_threads,
        cpus=name,
        read_bytes_per_s=measure_read_bandwidth(num_threads, available_bytes, cpus),
        copy_bytes_per_s=measure_copy_bandwidth(num_threads, available_bytes, cpus),
    )


def _blocks(num_blocks: int, available_bytes: int) -> list[npt.NDArray[np.uint64]]:
    total_bytes = min(_MOST_BYTES, available_bytes // _SHARE_OF_AVAILABLE)
    num_words = max(1, total_bytes // num_blocks // 8)
    # Written, not merely reserved: untouched pages would all be one page of zeros, and that one lies in the cache.
    return [np.ones(num_words, np.uint64) for _ in range(num_blocks)]
