"""Announces the CPU backend; imports nothing heavy until it is asked to run."""

from __future__ import annotations

import struct
from importlib.util import find_spec

from bonsai_edge.backend import Availability, Backend, ModelRunner
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.hookspecs import hookimpl
from bonsai_edge.memory.plan import MemoryPlan

_SCORE = 100


class CpuBackend(Backend):
    """Numba on the CPU, with vector instructions chosen for this machine."""

    name = "cpu"
    summary = "Numba kernels on the CPU"

    def probe(self) -> Availability:
        """Check for Numba and a 64-bit processor, then compile and run the smallest kernel and compare its result."""
        if struct.calcsize("P") != 8:
            return Availability(False, "The Python interpreter is 32-bit; install a 64-bit operating system.")
        if find_spec("numba") is None:
            return Availability(False, "Numba is not installed; run: pip install numba")
        from bonsai_edge_cpu.isa.selection import selected_isa

        try:
            isa_name = selected_isa().name
        except BackendUnavailableError as exc:
            return Availability(False, str(exc))
        from bonsai_edge_cpu.smoke_test import smoke_test_failure

        failure = smoke_test_failure()
        if failure is not None:
            return Availability(False, f"The {isa_name} kernels fail their smoke test: {failure}")
        return Availability(True, f"{isa_name} kernels pass their smoke test.", _SCORE, {"isa": isa_name})

    def load(self, checkpoint: Checkpoint, plan: MemoryPlan, threads: int = 1) -> ModelRunner:
        """Make a runner with `threads` threads."""
        from bonsai_edge_cpu.runner import CpuRunner

        return CpuRunner(checkpoint, plan.num_pages, threads)


@hookimpl
def bonsai_backends() -> list[Backend]:
    """Offer the CPU backend."""
    return [CpuBackend()]
