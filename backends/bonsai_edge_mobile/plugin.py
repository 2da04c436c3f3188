"""Announces the mobile backend; loads its library when it is asked to run."""

from __future__ import annotations

from bonsai_edge.backend import Availability, Backend, ModelRunner
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.hookspecs import hookimpl
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.model_spec import ModelSpec

_SCORE = 90
"""Below the CPU backend's: the same kernels, but for a processor like this one, not for this one."""


class MobileBackend(Backend):
    """The CPU backend's kernels from a library: nothing is compiled here, and Numba is not needed."""

    name = "mobile"
    summary = "kernels compiled ahead of time, on the CPU"
    kv_types = tuple(KVType)

    def probe(self) -> Availability:
        """Load the library for this machine, run its smallest kernel and compare the result."""
        from bonsai_edge_mobile.library import load_kernels
        from bonsai_edge_mobile.smoke_test import smoke_test_failure

        try:
            kernels = load_kernels()
        except BackendUnavailableError as exc:
            return Availability(False, str(exc))
        failure = smoke_test_failure(kernels)
        if failure is not None:
            return Availability(False, f"The {kernels.isa} kernels fail their smoke test: {failure}", _SCORE)
        return Availability(True, f"{kernels.isa} kernels pass their smoke test.", _SCORE, {"isa": kernels.isa})

    def load(self, checkpoint: Checkpoint, plan: MemoryPlan, threads: int = 1) -> ModelRunner:
        """Make a runner with `threads` threads."""
        from bonsai_edge_mobile.library import load_kernels
        from bonsai_edge_mobile.runner import MobileRunner

        return MobileRunner(load_kernels(), checkpoint, plan.num_pages, plan.kv_type, threads)

    def scratch_bytes(self, spec: ModelSpec, threads: int, sequences: int) -> int:
        """Return the bytes of the work arrays, of their logits one row a sequence."""
        from bonsai_edge.cpu_step.runner import MAX_BATCH_ROWS
        from bonsai_edge.cpu_step.workspace import workspace_bytes
        from bonsai_edge_mobile.library import load_kernels

        kernels = load_kernels()
        sizes = kernels.table_tokens, kernels.spare_tiles
        return workspace_bytes(spec, MAX_BATCH_ROWS, threads, sequences, *sizes)


@hookimpl
def bonsai_backends() -> list[Backend]:
    """Offer the mobile backend."""
    return [MobileBackend()]
