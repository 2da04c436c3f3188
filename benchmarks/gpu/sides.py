"""What runs in processes of their own: the two sides of the comparison, and the limit that both have."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bonsai_edge_cuda.cuda_core_driver import CudaCoreDriver
from bonsai_edge_cuda.detection import Gpu, find_gpu
from speed.case import Case
from speed.ours import BonsaiEdge

_SUPPORT = Path(__file__).parents[2] / "tests" / "support"
_REPETITIONS = 10


class Cuda(BonsaiEdge):
    """The CUDA backend, on a GPU or on the emulated one; raises RuntimeError if another had to take its place."""

    def __init__(self, path: Path, threads: int, cases: Sequence[Case], emulated: bool) -> None:
        if emulated:
            emulate()
        super().__init__(path, "cuda", threads, cases)
        if self._model.backend_name != "cuda":
            raise RuntimeError(str(self._model.backend_note))


class CopyMeter:
    """Measures how fast the GPU copies its own memory, which no kernel that reads weights can exceed by much."""

    def __init__(self, emulated: bool) -> None:
        gpu = find_gpu(emulate()) if emulated else find_gpu()
        if not isinstance(gpu, Gpu):
            raise RuntimeError(gpu.reason)
        self.gpu = gpu

    def facts(self) -> dict[str, str]:
        """Return what the driver tells of the GPU."""
        return self.gpu.facts()

    def measure(self, num_bytes: int) -> float:
        """Return the bytes that are read and written a second, the best of some copies of so many bytes."""
        driver = CudaCoreDriver(self.gpu)
        try:
            source, destination = driver.allocate(num_bytes), driver.allocate(num_bytes)
            times = [driver.time(lambda: driver.copy(source, destination, num_bytes)) for _ in range(_REPETITIONS)]
        finally:
            driver.close()
        return 2 * num_bytes / min(times)


def emulate() -> str:
    """Put the emulated GPU of the tests in the place of a real one, in this process; return its driver library."""
    sys.path.insert(0, str(_SUPPORT))
    import emulated_gpu  # noqa: PLC0415  (lies with the tests, and is for rehearsals only)
    from bonsai_edge_cuda import plugin  # noqa: PLC0415

    plugin.CudaBackend = emulated_gpu.EmulatedCudaBackend  # type: ignore[misc]
    return emulated_gpu.emulated_libcuda().path
