"""Announces the CUDA backend; asks the driver's own library first, so that a machine without a GPU pays nothing."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bonsai_edge.backend import Availability, Backend, DeviceMemory, ModelRunner, WarmReport
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.hookspecs import hookimpl
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_cuda.detection import DRIVER_LIBRARY, Gpu, NoGpu, find_gpu

if TYPE_CHECKING:
    from bonsai_edge_cuda.driver import Driver

_SCORE = 300
_INSTALL = "pip install 'bonsai-edge[cuda]'"
_HOST_BYTES = 16_000_000  # of memory that both sides use: 8 rows of logits, page tables


class CudaBackend(Backend):
    """CUDA C++ kernels on the first NVIDIA GPU; `library` is the driver's."""

    name = "cuda"
    summary = "CUDA kernels on an NVIDIA GPU"
    kv_types = tuple(KVType)
    copies_weights = True

    def __init__(self, library: str = DRIVER_LIBRARY) -> None:
        self._library = library

    def probe(self) -> Availability:
        """Find a GPU that the kernels run on, and code for it, and compare a product that it computes."""
        gpu = find_gpu(self._library)
        if isinstance(gpu, NoGpu):
            return Availability(False, gpu.reason, _SCORE if gpu.has_hardware else 0)
        if gpu.unsuitability is not None:
            return Availability(False, gpu.unsuitability, 0, gpu.facts())
        missing = _missing_library()
        if missing is not None:
            return Availability(False, f"{gpu.name} is here, but {missing}", _SCORE, gpu.facts())
        try:
            failure = self._smoke_test_failure(gpu)
        except BackendUnavailableError as exc:
            return Availability(False, str(exc), _SCORE, gpu.facts())
        except (ImportError, MemoryError) as exc:
            return Availability(False, f"{gpu.name} is here, but cannot be used ({exc}).", _SCORE, gpu.facts())
        if failure is not None:
            return Availability(
                False, f"The kernels fail their smoke test on {gpu.name}: {failure}.", _SCORE, gpu.facts()
            )
        passed = f"The kernels pass their smoke test on {gpu.name}."
        return Availability(True, passed, _SCORE, gpu.facts(), needs_trial=gpu.is_integrated)

    def load(self, checkpoint: Checkpoint, plan: MemoryPlan, threads: int = 1) -> ModelRunner:
        """Make a runner on the GPU; `threads` are not used, for one is enough to start kernels."""
        from bonsai_edge_cuda.code_store import source_hash
        from bonsai_edge_cuda.geometry import check_supported
        from bonsai_edge_cuda.runner import CudaRunner

        check_supported(checkpoint.spec, checkpoint.tensors)
        gpu = self._gpu()
        capability = "".join(map(str, gpu.compute_capability))
        driver = self._open(gpu)
        try:
            return CudaRunner(driver, checkpoint, plan.num_pages, plan.kv_type, f"cuda-{capability}-{source_hash()}")
        except BaseException:
            driver.close()
            raise

    def warm(self) -> WarmReport | None:
        """Compile for the GPU what this package does not ship for it."""
        from bonsai_edge_cuda import code_store

        return code_store.warm(self._gpu().compute_capability)

    def device_memory(self) -> DeviceMemory | None:
        """Return what is free on a GPU that has memory of its own."""
        gpu = self._gpu()
        if gpu.is_integrated:
            return None
        driver = self._open(gpu)
        try:
            return DeviceMemory(f"the memory of {gpu.name}", driver.free_bytes())
        finally:
            driver.close()

    def scratch_bytes(self, spec: ModelSpec, threads: int, sequences: int) -> int:
        """Return the bytes of the work arrays on the device for the longest context of the model."""
        from bonsai_edge_cuda.runner import scratch_bytes

        return scratch_bytes(spec)

    def compiler_bytes(self, kv_type: KVType) -> int:
        """Return what a runner keeps in the process."""
        return _HOST_BYTES

    def _code(self, gpu: Gpu) -> Iterable[bytes]:
        """Return compiled kernels for the GPU; raises BackendUnavailableError."""
        from bonsai_edge_cuda.code_store import find_code

        return find_code(gpu.compute_capability).values()

    def _open(self, gpu: Gpu) -> Driver:
        """Return a driver with the kernels loaded; raises BackendUnavailableError."""
        from bonsai_edge_cuda.cuda_core_driver import CudaCoreDriver

        code = self._code(gpu)
        driver = CudaCoreDriver(gpu)
        driver.load(code)
        return driver

    def _smoke_test_failure(self, gpu: Gpu) -> str | None:
        from bonsai_edge_cuda.smoke_test import smoke_test_failure

        driver = self._open(gpu)
        try:
            return smoke_test_failure(driver)
        finally:
            driver.close()

    def _gpu(self) -> Gpu:
        gpu = find_gpu(self._library)
        problem = gpu.reason if isinstance(gpu, NoGpu) else gpu.unsuitability
        if isinstance(gpu, NoGpu) or problem is not None:
            raise BackendUnavailableError(
                f"Backend 'cuda' cannot run here: {problem}", "See `bonsai-edge backends` for the ones that can."
            )
        return gpu


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
