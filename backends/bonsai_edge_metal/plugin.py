"""Announces the Metal backend; imports nothing heavy until it is asked to run."""

from __future__ import annotations

import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version

from bonsai_edge.backend import Availability, Backend, ModelRunner
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.hookspecs import hookimpl
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.model_spec import ModelSpec

_SCORE = 200
_LEAST_VERSION = (0, 32, 4)  # the first with 1-bit kernels: 0.32.3 says "supported bits are 2, 3, 4, 5, 6 and 8"
_INSTALL = "pip install 'bonsai-edge[metal]'"


class MetalBackend(Backend):
    """Stock MLX on the GPU of a Mac with Apple silicon."""

    name = "metal"
    summary = "MLX on the GPU of a Mac"
    kv_types = tuple(KVType)
    copies_weights = True

    def probe(self) -> Availability:
        """Check for Apple silicon and for an MLX with 1-bit kernels, then multiply a small matrix with it.

        MLX for Linux computes on the CPU; it serves the tests, and `auto` never takes it.
        """
        score = _SCORE if _is_apple_silicon() else 0
        missing = _missing_foundation()
        if missing is not None:
            return Availability(False, missing, score)
        from bonsai_edge_metal.smoke_test import smoke_test_failure

        failure = smoke_test_failure()
        if failure is not None:
            return Availability(False, f"MLX {version('mlx')} fails the smoke test: {failure}", score)
        details = {"mlx": version("mlx")}
        if not _has_gpu():
            return Availability(
                True, "MLX passes its smoke test on the CPU; without Metal it is for tests.", 0, details
            )
        return Availability(True, f"MLX {version('mlx')} passes its smoke test on the GPU.", score, details)

    def load(self, checkpoint: Checkpoint, plan: MemoryPlan, threads: int = 1) -> ModelRunner:
        """Make a runner; `threads` is left to MLX."""
        from bonsai_edge_metal.memory import warn_of_a_small_working_set
        from bonsai_edge_metal.runner import MetalRunner

        warn_of_a_small_working_set(plan, checkpoint.spec.name)
        return MetalRunner(checkpoint, plan.num_pages, plan.kv_type)

    def scratch_bytes(self, spec: ModelSpec, threads: int, sequences: int) -> int:
        """Return what MLX's copy of 1-bit weights takes beyond the file's size, and the arrays of a step."""
        from bonsai_edge_metal.memory import added_weight_bytes, step_bytes

        return added_weight_bytes(spec) + step_bytes(spec, sequences)


def _is_apple_silicon() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _missing_foundation() -> str | None:
    """Say what MLX would need and this machine lacks, and the remedy; None if it is all there."""
    try:
        installed = version("mlx")
    except PackageNotFoundError:
        if _is_apple_silicon():
            return f"MLX is not installed; run: {_INSTALL}."
        return f"Metal needs a Mac with Apple silicon; this is {platform.system()} on {platform.machine()}."
    if tuple(int(number) for number in re.findall(r"\d+", installed)[:3]) < _LEAST_VERSION:
        least = ".".join(map(str, _LEAST_VERSION))
        return f"MLX {installed} has no 1-bit kernels, which came with {least}; run: pip install --upgrade mlx."
    try:
        import mlx.core  # noqa: F401  (whether it can be is the question)
    except (ImportError, OSError) as exc:
        return f"MLX {installed} cannot be imported ({exc}); run: {_INSTALL}."
    return None


def _has_gpu() -> bool:
    import mlx.core as mx

    return bool(mx.metal.is_available())


@hookimpl
def bonsai_backends() -> list[Backend]:
    """Offer the Metal backend."""
    return [MetalBackend()]
