"""Announces the CPU backend; imports nothing heavy until it is asked to run."""

from __future__ import annotations

import platform
import struct
from importlib.util import find_spec

from bonsai_edge.backend import Availability, Backend, KernelThroughput, ModelRunner, WarmReport
from bonsai_edge.cpu_step.runner import MAX_BATCH_ROWS
from bonsai_edge.cpu_step.workspace import workspace_bytes
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.hookspecs import hookimpl
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.model_spec import ModelSpec

_SCORE = 100
# What `load` adds to the resident memory of a process, less what it allocates for the model: measured with the embedded
# model on x86-64 Linux (Python 3.11, Numba 0.68), see docs/memory.md. LLVM does not give back what it compiled with.
_KERNEL_BYTES = 12_000_000
_COMPILER_BYTES = 140_000_000


class CpuBackend(Backend):
    """Numba on the CPU, with vector instructions chosen for this machine."""

    name = "cpu"
    summary = "Numba kernels on the CPU"
    kv_types = tuple(KVType)

    def probe(self) -> Availability:
        """Check for a 64-bit processor and Numba, then compile and run the smallest kernel and compare its result."""
        missing = _missing_foundation()
        if missing is not None:
            # Who has not installed Numba has chosen kernels that need none; a broken one keeps its place, and is told.
            return Availability(False, missing, _SCORE if find_spec("numba") else 0)
        from bonsai_edge_cpu.isa.selection import selected_isa

        try:
            isa_name = selected_isa().name
        except BackendUnavailableError as exc:
            return Availability(False, str(exc), _SCORE)
        from bonsai_edge_cpu.compiler_memory import release_compiler_code
        from bonsai_edge_cpu.smoke_test import smoke_test_failure

        failure = smoke_test_failure()
        release_compiler_code()  # a plan of the memory is made next, and loading does the same
        if failure is not None:
            return Availability(False, f"The {isa_name} kernels fail their smoke test: {failure}", _SCORE)
        return Availability(True, f"{isa_name} kernels pass their smoke test.", _SCORE, {"isa": isa_name})

    def load(self, checkpoint: Checkpoint, plan: MemoryPlan, threads: int = 1) -> ModelRunner:
        """Make a runner with `threads` threads."""
        from bonsai_edge_cpu.runner import CpuRunner

        return CpuRunner(checkpoint, plan.num_pages, plan.kv_type, threads)

    def warm(self) -> WarmReport:
        """Load the embedded model: kernels tell weight types and shapes apart when they run, not when compiled."""
        from bonsai_edge_cpu.warming import warm_kernels

        return warm_kernels(self)

    def measure_kernels(self, threads: int) -> KernelThroughput:
        """Multiply a matrix in the second-level cache of each core, again and again."""
        from bonsai_edge_cpu.throughput import measure_kernels

        return measure_kernels(threads)

    def scratch_bytes(self, spec: ModelSpec, threads: int, sequences: int) -> int:
        """Return the bytes of the work arrays, of their logits one row a sequence."""
        from bonsai_edge_cpu.isa.selection import selected_isa

        isa = selected_isa()
        return workspace_bytes(spec, MAX_BATCH_ROWS, threads, sequences, isa.table_tokens, isa.spare_tiles)

    def compiler_bytes(self, kv_type: KVType) -> int:
        """Return what the kernels take once they are read from disk, or LLVM if it has to make them first."""
        from bonsai_edge_cpu.runner import is_compiled

        return _KERNEL_BYTES if is_compiled(kv_type) else _COMPILER_BYTES


def _missing_foundation() -> str | None:
    """Say what Numba would need and this machine lacks, and the remedy; None if it is all there."""
    if _pointer_bytes() != 8:
        return (
            f"This Python is 32-bit (on {platform.machine()}), and the kernels need 64 bits: install a 64-bit "
            f"operating system, such as Raspberry Pi OS (64-bit), and its Python."
        )
    if find_spec("numba") is None:
        return "Numba is not installed; run: pip install numba"
    try:
        import numba  # noqa: F401  (whether it can be is the question)
    except (ImportError, OSError) as exc:  # OSError: the shared library of LLVM
        return f"Numba cannot be imported ({exc}); run: pip install --upgrade --force-reinstall numba"
    return None


def _pointer_bytes() -> int:
    return struct.calcsize("P")


@hookimpl
def bonsai_backends() -> list[Backend]:
    """Offer the CPU backend."""
    return [CpuBackend()]
