"""The memory plan: what a model will need, against what the device has, before anything is allocated."""

from __future__ import annotations

from dataclasses import dataclass

from bonsai_edge.device import DeviceProfile
from bonsai_edge.errors import InsufficientMemoryError, InvalidRequestError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.model_spec import ModelSpec

DEFAULT_CONTEXT = 4096
_LEAST_CONTEXT = 512
_MIB = 1 << 20
_RUNTIME_BYTES = 256 * _MIB  # what interpreter, compiler and tokenizer keep for themselves: docs/benchmarks.md


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes by purpose.

    The weights are file-backed: the kernel may evict and re-read them, but decoding wants them all.
    `context` is in tokens; the last of the `num_pages` pages may have room for more than it allows.
    """

    context: int
    weight_bytes: int
    kv_cache_bytes: int
    runtime_bytes: int
    kv_type: KVType = KVType.F16

    @property
    def num_pages(self) -> int:
        """KV pages in the pool."""
        return -(-self.context // PAGE_TOKENS)

    @property
    def total_bytes(self) -> int:
        """Everything together."""
        return self.weight_bytes + self.kv_cache_bytes + self.runtime_bytes


def plan_memory(checkpoint: Checkpoint, device: DeviceProfile, context: int | None = None) -> MemoryPlan:
    """Choose the context, or check the one asked for, against the memory that is available now.

    Without `context` the largest power-of-two fraction of 4,096 tokens that fits is taken, at least 512. Raises
    InvalidRequestError for a context that the model does not have and InsufficientMemoryError with the shortfall.
    """
    spec = checkpoint.spec
    if context is not None:
        if not 1 <= context <= spec.context_length:
            raise InvalidRequestError(
                f"A context of {context} tokens was asked for; {spec.name} has 1 to {spec.context_length}.",
                "Choose a context within that range.",
            )
        return _require_fit(_plan(checkpoint, context), spec, device)
    plan = _plan(checkpoint, min(DEFAULT_CONTEXT, spec.context_length))
    while plan.total_bytes > device.available_memory_bytes and plan.context // 2 >= _LEAST_CONTEXT:
        plan = _plan(checkpoint, plan.context // 2)
    return _require_fit(plan, spec, device)


def _plan(checkpoint: Checkpoint, context: int) -> MemoryPlan:
    num_pages = -(-context // PAGE_TOKENS)
    return MemoryPlan(
        context=context,
        weight_bytes=checkpoint.num_bytes,
        kv_cache_bytes=num_pages * PAGE_TOKENS * checkpoint.spec.kv_bytes_per_token(),
        runtime_bytes=_RUNTIME_BYTES,
    )


def _require_fit(plan: MemoryPlan, spec: ModelSpec, device: DeviceProfile) -> MemoryPlan:
    shortfall = plan.total_bytes - device.available_memory_bytes
    if shortfall > 0:
        raise InsufficientMemoryError(
            f"{spec.name} with a context of {plan.context} tokens needs {plan.total_bytes / _MIB:.0f} MiB "
            f"(weights {plan.weight_bytes / _MIB:.0f}, KV cache {plan.kv_cache_bytes / _MIB:.0f}, runtime "
            f"{plan.runtime_bytes / _MIB:.0f}); {device.memory_limit_source} allows "
            f"{device.available_memory_bytes / _MIB:.0f} MiB, {shortfall / _MIB:.0f} MiB too few.",
            "Choose a smaller context (--context), a smaller model, or free memory.",
        )
    return plan
