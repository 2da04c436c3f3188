"""Fills the cache of compiled kernels before anybody waits for it."""

from __future__ import annotations

from dataclasses import replace

from numba.core.registry import cpu_target

from bonsai_edge.backend import Backend, WarmReport
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.model_store import resolve_model_path
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernel_cache import CACHE_VARIABLE, compiled_names, kernel_folder, write_failure

_SMALLEST_PLAN = MemoryPlan(context=PAGE_TOKENS, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0)


def warm_kernels(backend: Backend) -> WarmReport:
    """Probe the backend and load the embedded model with it, which compiles everything; see `Backend.warm`."""
    folder = kernel_folder()
    if folder is None:
        raise BackendUnavailableError(
            "There is no home directory to keep compiled kernels in.", f"Name a folder in {CACHE_VARIABLE}."
        )
    availability = backend.probe()
    if not availability.available:
        raise BackendUnavailableError(
            f"Backend {backend.name!r} cannot run here: {availability.reason}",
            "See `bonsai-edge backends` for the ones that can.",
        )
    checkpoint = open_checkpoint(resolve_model_path("seedling"))
    for kv_type in KVType:
        backend.load(checkpoint, replace(_SMALLEST_PLAN, kv_type=kv_type)).close()
    failure = write_failure()
    if failure is not None:
        raise failure
    num_bytes = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    _, processor, _ = cpu_target.target_context.codegen().magic_tuple()
    return WarmReport(f"{selected_isa().name} on {processor}", folder, compiled_names(), num_bytes)
