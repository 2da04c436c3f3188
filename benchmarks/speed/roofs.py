"""The limits of the machine, measured in the same rounds as the speeds, because they drift as well."""

from __future__ import annotations

import time

import numpy as np

from bonsai_edge.plugin_manager import device_profile
from bonsai_edge.profiling.bandwidth import measure_read_bandwidth
from speed.results import Roofs

_SIZE = 2048
_REPETITIONS = 5


class RoofMeter:
    """Measures both limits; its process must have been started with `blas_environment(threads)`."""

    def measure(self, threads: int) -> Roofs:
        """Read memory, then multiply float32 matrices; the best of some repetitions of each."""
        bandwidth = measure_read_bandwidth(threads, device_profile().available_memory_bytes)
        return Roofs(bandwidth, _float32_macs_per_s())


def blas_environment(threads: int) -> dict[str, str]:
    """Return the variables that give NumPy's BLAS its threads, be it OpenBLAS or Apple's."""
    return {"OPENBLAS_NUM_THREADS": str(threads), "VECLIB_MAXIMUM_THREADS": str(threads)}


def _float32_macs_per_s() -> float:
    left, right = np.ones((_SIZE, _SIZE), np.float32), np.ones((_SIZE, _SIZE), np.float32)
    product = np.empty_like(left)
    durations = []
    for _ in range(_REPETITIONS):
        started = time.perf_counter()
        np.matmul(left, right, out=product)
        durations.append(time.perf_counter() - started)
    return _SIZE**3 / min(durations)
