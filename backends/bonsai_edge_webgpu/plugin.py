"""Announces the WebGPU backend; asks no graphics driver before there is a sign of a GPU."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from bonsai_edge.backend import Availability, Backend, ModelRunner
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.hookspecs import hookimpl
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.model_spec import ModelSpec
from bonsai_edge_webgpu.detection import may_have_gpu

_SCORE = 150  # between the CPU and what is made for one maker's GPUs
_INSTALL = "pip install 'bonsai-edge[webgpu]'"


class WebgpuBackend(Backend):
    """WGSL kernels on any GPU with Vulkan, Metal or DirectX 12."""

    name = "webgpu"
    summary = "WGSL kernels on a GPU of any maker"
    kv_types = (KVType.F16,)
    copies_weights = True

    def probe(self) -> Availability:
        """Look for wgpu and a GPU, and multiply a small matrix on it; `auto` then has to measure it.

        Where the CPU plays the GPU, as in tests, `auto` leaves it alone.
        """
        if not may_have_gpu():
            return Availability(False, "There is no GPU here: /dev has no device file of one.")
        missing = _missing_library()
        if missing is not None:
            return Availability(False, missing)
        from bonsai_edge_webgpu.adapter import open_gpu

        opened = open_gpu()
        if isinstance(opened, str):
            return Availability(False, opened)
        details = {"device": opened.device, "driver": opened.driver}
        if opened.is_software:
            return Availability(True, f"{opened.device} passes the smoke test; it is the CPU, for tests.", 0, details)
        return Availability(True, f"{opened.device} passes the smoke test.", _SCORE, details, needs_trial=True)

    def load(self, checkpoint: Checkpoint, plan: MemoryPlan, threads: int = 1) -> ModelRunner:
        """Make a runner; raises BackendUnavailableError where `probe` finds no GPU."""
        from bonsai_edge_webgpu.adapter import open_gpu
        from bonsai_edge_webgpu.runner import WebgpuRunner

        opened = open_gpu()
        if isinstance(opened, str):
            raise BackendUnavailableError(f"Backend 'webgpu' cannot run here: {opened}", "Choose another backend.")
        return WebgpuRunner(checkpoint, plan.num_pages, opened.gpu, opened.device)

    def scratch_bytes(self, spec: ModelSpec, threads: int, sequences: int) -> int:
        """Return the bytes of the buffers of a step, which are there for the most rows at once."""
        from bonsai_edge_webgpu.step import step_bytes

        return step_bytes(spec)


def _missing_library() -> str | None:
    """Say what wgpu would need, and the remedy; None if it is there."""
    if find_spec("wgpu") is not None:
        return None
    if sys.version_info < (3, 11):
        return f"wgpu needs Python 3.11 or later; with it, run: {_INSTALL}."
    return f"wgpu is not installed; run: {_INSTALL}."


@hookimpl
def bonsai_backends() -> list[Backend]:
    """Offer the WebGPU backend."""
    return [WebgpuBackend()]
