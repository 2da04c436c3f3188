"""Announces the CUDA backend; asks the driver's own library first, so that a machine without a GPU pays nothing."""

from __future__ import annotations

from importlib.util import find_spec

from bonsai_edge.backend import Availability, Backend, ModelRunner
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.hookspecs import hookimpl
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge_cuda.detection import NoGpu, find_gpu

_SCORE = 300
_INSTALL = "pip install 'bonsai-edge[cuda]'"


class CudaBackend(Backend):
    """CUDA C++ kernels on the first NVIDIA GPU."""

    name = "cuda"
    summary = "CUDA kernels on an NVIDIA GPU"
    kv_types = tuple(KVType)

    def probe(self) -> Availability:
        """Find a GPU that the kernels run on, and the libraries for it."""
        gpu = find_gpu()
        if isinstance(gpu, NoGpu):
            return Availability(False, gpu.reason, _SCORE if gpu.has_hardware else 0)
        if gpu.unsuitability is not None:
            return Availability(False, gpu.unsuitability, 0, gpu.facts())
        missing = _missing_library()
        if missing is not None:
            return Availability(False, f"{gpu.name} is here, but {missing}", _SCORE, gpu.facts())
        return Availability(False, f"{gpu.name} is here, but the kernels are not finished.", 0, gpu.facts())

    def load(self, checkpoint: Checkpoint, plan: MemoryPlan, threads: int = 1) -> ModelRunner:
        """Refuse: there is no runner yet."""
        raise BackendUnavailableError("The CUDA kernels are not finished.", "Choose another backend.")


def _missing_library() -> str | None:
    """Say what of the extra is not installed and how to install it, None if all is."""
    for package, module in (("cuda-core", "cuda.core"), ("cuda-bindings", "cuda.bindings")):
        try:
            found = find_spec(module)
        except ModuleNotFoundError:  # there is not even a package `cuda`
            found = None
        if found is None:
            return f"{package} is not installed; run: {_INSTALL}"
    return None


@hookimpl
def bonsai_backends() -> list[Backend]:
    """Offer the CUDA backend."""
    return [CudaBackend()]
