"""Tells how models would run on a machine: whether they fit, with how much context, how fast, and what limits them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from bonsai_edge.backend import Backend
from bonsai_edge.device import DeviceProfile
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import plan_memory
from bonsai_edge.profiling.measurements import Measurements
from bonsai_edge.profiling.prediction import decode_tokens_per_s, num_weights, prefill_tokens_per_s, weight_bytes

PROMPT_TOKENS = 512


class Outlook(msgspec.Struct, frozen=True):
    """A model with a KV type. Speeds are predicted, in tokens/s, whether it fits or not.

    `context` is what memory allows, `needed_bytes` what the process then takes. The two limits are what the bandwidth
    of memory and the multiplications of the kernels would each allow a decoder that does nothing else; the lower one
    is what it is limited by.
    """

    model: str
    kv_type: str
    fits: bool
    context: int
    needed_bytes: int
    decode_tokens_per_s: float
    decode_at_context_tokens_per_s: float
    prefill_tokens_per_s: float
    memory_limit_tokens_per_s: float
    arithmetic_limit_tokens_per_s: float | None
    limited_by: Literal["memory", "arithmetic"]


def outlooks(
    models: Iterable[Checkpoint], measurements: Measurements, device: DeviceProfile, backend: Backend
) -> list[Outlook]:
    """Return the outlook of each model with each KV type that was measured."""
    return [
        outlook(model, KVType(kv_type), measurements, device, backend)
        for model in models
        for kv_type in measurements.costs
    ]


def outlook(
    model: Checkpoint, kv_type: KVType, measurements: Measurements, device: DeviceProfile, backend: Backend
) -> Outlook:
    """Plan the memory of a model and predict its speeds; of the checkpoint only size and shape are looked at."""
    plan = plan_memory(model, device, backend, measurements.threads, kv_type=kv_type)
    spec, costs, kernels = model.spec, measurements.costs[kv_type.value], measurements.kernels
    memory_limit = measurements.memory_read_bytes_per_s / weight_bytes(spec)
    arithmetic_limit = None if kernels is None else kernels.decode_macs_per_s / num_weights(spec)
    return Outlook(
        model=spec.name,
        kv_type=kv_type.value,
        fits=plan.fits,
        context=plan.context,
        needed_bytes=plan.total_bytes,
        decode_tokens_per_s=decode_tokens_per_s(spec, kv_type, costs),
        decode_at_context_tokens_per_s=decode_tokens_per_s(spec, kv_type, costs, plan.context),
        prefill_tokens_per_s=prefill_tokens_per_s(spec, kv_type, costs, PROMPT_TOKENS),
        memory_limit_tokens_per_s=memory_limit,
        arithmetic_limit_tokens_per_s=arithmetic_limit,
        limited_by="arithmetic" if arithmetic_limit is not None and arithmetic_limit < memory_limit else "memory",
    )
