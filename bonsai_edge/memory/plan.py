"""The memory plan: what a process needs to run a model, against what it may have, before anything is allocated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from bonsai_edge.backend import Backend
from bonsai_edge.device import DeviceProfile
from bonsai_edge.errors import InsufficientMemoryError, InvalidRequestError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import GROUP_VALUES, PAGE_TOKENS, KVType
from bonsai_edge.memory.size import MIB
from bonsai_edge.model_spec import ModelSpec

DEFAULT_CONTEXT = 4096
"""Tokens of context where memory allows them and nobody asks for another number."""

LEAST_CONTEXT = 512
"""Fewest tokens of context that are chosen without being asked for."""

_CONTEXT_STEP = 256  # a context that is chosen is a multiple of it, so that a few MiB more or less change nothing
_MOST_SESSIONS = 1024

# What tokenizer and template add to the header as it was read, whose lists of strings they replace: measured with 2,048
# tokens and with 151,669, see docs/memory.md.
_TOKENIZER_BYTES = 4_000_000
_TOKENIZER_BYTES_PER_TOKEN = 120

_DEVICE_COMPONENTS = ("weights", "kv_cache", "scratch")  # what lies in a backend's own memory, if it has one

_HEADROOM_BYTES = 32 * MIB  # requests under way, fragments of the heap, page tables


@dataclass(frozen=True)
class MemoryPlan:
    """Bytes by purpose, and the limit that they are held against, if any.

    The pool of KV pages has room for `sessions` times `context` tokens. Weights are mapped from the file: the system
    may evict and re-read them, but decoding wants them all, so they count. `runtime_bytes` is what the process kept
    before loading: interpreter and libraries, and in a larger program all the rest of it.

    With `device_memory`, the name of a memory that the backend has for itself, weights, KV cache and scratch lie there,
    and all else in the process; each is held against limits of its own, and the plan is about the one that binds.
    """

    context: int
    weight_bytes: int
    kv_cache_bytes: int
    runtime_bytes: int
    kv_type: KVType = KVType.F16
    sessions: int = 1
    scratch_bytes: int = 0
    tokenizer_bytes: int = 0
    compiler_bytes: int = 0
    headroom_bytes: int = 0
    weights_copy_bytes: int = 0
    """What the process keeps of weights that the backend has copied: nothing if they are mapped."""
    device_memory: str | None = None
    limit_bytes: int | None = None
    limit_source: str | None = None
    remedy: str | None = None
    """What would fit instead, if it does not."""

    @property
    def num_pages(self) -> int:
        """KV pages in the pool."""
        return self.sessions * -(-self.context // PAGE_TOKENS)

    @property
    def components(self) -> dict[str, int]:
        """Bytes by purpose, by the names that are shown to people and in JSON."""
        return {
            "weights": self.weight_bytes,
            **({"weights_copy": self.weights_copy_bytes} if self.weights_copy_bytes else {}),
            "kv_cache": self.kv_cache_bytes,
            "scratch": self.scratch_bytes,
            "tokenizer": self.tokenizer_bytes,
            "interpreter": self.runtime_bytes,
            "compiler": self.compiler_bytes,
            "headroom": self.headroom_bytes,
        }

    @property
    def is_about_the_device(self) -> bool:
        """Whether it is the backend's own memory that binds."""
        return self.device_memory is not None and self.limit_source == self.device_memory

    @property
    def counted_components(self) -> dict[str, int]:
        """The components that are held against the limit: all, or those in the memory that binds."""
        if self.device_memory is None:
            return self.components
        return {
            name: num_bytes
            for name, num_bytes in self.components.items()
            if (name in _DEVICE_COMPONENTS) is self.is_about_the_device
        }

    @property
    def total_bytes(self) -> int:
        """Everything together that is held against the limit."""
        return sum(self.counted_components.values())

    @property
    def predicted_peak_bytes(self) -> int:
        """Resident memory of the process once it has used its whole context: all but headroom and a device's memory."""
        in_process = (
            num_bytes
            for name, num_bytes in self.components.items()
            if self.device_memory is None or name not in _DEVICE_COMPONENTS
        )
        return sum(in_process) - self.headroom_bytes

    @property
    def shortfall_bytes(self) -> int:
        """What is missing; 0 if it fits."""
        return 0 if self.limit_bytes is None else max(0, self.total_bytes - self.limit_bytes)

    @property
    def fits(self) -> bool:
        """Whether everything stays within the limit."""
        return self.shortfall_bytes == 0

    def require_fit(self, model_name: str) -> None:
        """Raise InsufficientMemoryError with what is needed, what is missing and what would fit, unless it fits."""
        if self.limit_bytes is None or self.remedy is None or self.fits:
            return
        parts = ", ".join(f"{name.replace('_', ' ')} {_mib(size)}" for name, size in self.counted_components.items())
        sessions = f" for each of {self.sessions} sessions" if self.sessions > 1 else ""
        shortfall = f"{_mib(self.shortfall_bytes)} MiB ({self.shortfall_bytes:,} bytes)"
        raise InsufficientMemoryError(
            f"{model_name} with a context of {self.context} tokens{sessions} and a KV cache of type "
            f"{self.kv_type.value} needs {_mib(self.total_bytes)} MiB ({parts}); {self.limit_source} allows "
            f"{self.limit_bytes // MIB:,} MiB, {shortfall} too few.",
            self.remedy,
        )


def plan_memory(
    checkpoint: Checkpoint,
    device: DeviceProfile,
    backend: Backend,
    threads: int = 1,
    *,
    memory_bytes: int | None = None,
    context: int | None = None,
    kv_type: KVType | None = None,
    sessions: int = 1,
    weights_are_mapped: bool = True,
) -> MemoryPlan:
    """Choose context and KV type, or take those asked for, against the memory that the process may have.

    What is not asked for is chosen in the order of `_preferences`; if nothing of it fits, the plan is that of the last
    choice and has a remedy. Raises InvalidRequestError for what model or backend do not have.
    """
    spec = checkpoint.spec
    kv_types = _usable_kv_types(spec, backend)
    _check_request(spec, backend, kv_types, context, kv_type, sessions)
    mapped_bytes = checkpoint.num_bytes if weights_are_mapped and not backend.copies_weights else 0
    own = backend.device_memory()
    choices = _Choices(
        MemoryPlan(
            context=0,
            weight_bytes=checkpoint.num_bytes,
            kv_cache_bytes=0,
            runtime_bytes=device.resident_bytes,
            sessions=sessions,
            scratch_bytes=backend.scratch_bytes(spec, threads, sessions),
            tokenizer_bytes=_TOKENIZER_BYTES + _TOKENIZER_BYTES_PER_TOKEN * spec.vocab_size,
            headroom_bytes=_HEADROOM_BYTES,
            weights_copy_bytes=checkpoint.num_bytes if backend.copies_weights and not weights_are_mapped else 0,
            device_memory=None if own is None else own.source,
        ),
        [_binding_limit(device, mapped_bytes, memory_bytes), *([(own.source, own.available_bytes)] if own else [])],
        {each: backend.page_bytes(spec, each) for each in kv_types},
        {each: backend.compiler_bytes(each) for each in kv_types},
    )
    candidates = (kv_type,) if kv_type else choices.worthwhile_types()
    preferences = list(_preferences(spec, candidates, context))
    for preferred, fewest, most in preferences:
        fitting = choices.largest_context(preferred, most)
        if fitting >= fewest:
            return choices.plan(preferred, fitting)
    last, fewest, _ = preferences[-1]
    plan = choices.plan(last, fewest)
    return replace(plan, remedy=f"Choose {', '.join(_remedies(plan, choices))}, free memory, or risk it with --force.")


@dataclass(frozen=True)
class _Choices:
    """What of a plan is the same for every KV type, and what depends on it: the bytes of a page, and the compiler's.

    The limits are that of the process, and that of the backend's own memory if it has one.
    """

    fixed: MemoryPlan
    limits: list[tuple[str, int]]
    page_bytes: dict[KVType, int]
    compiler_bytes: dict[KVType, int]

    def plan(self, kv_type: KVType, context: int) -> MemoryPlan:
        """Return the plan under the limit that leaves the least room, or that it exceeds the most."""
        return min(self._under_each_limit(kv_type, context), key=_room)

    def worthwhile_types(self) -> tuple[KVType, ...]:
        """Return the types without those that take no less than a more exact one."""
        sizes = [*self.page_bytes.items()]
        return tuple(kv_type for i, (kv_type, size) in enumerate(sizes) if all(size < other for _, other in sizes[:i]))

    def largest_context(self, kv_type: KVType, most: int) -> int:
        """Return the most tokens that fit, whole steps of them (or pages, if few) unless it is `most`; may be 0."""
        *without_pages, holding_pages = self._under_each_limit(kv_type, 0)  # which lie in the last of the memories
        if not all(plan.fits for plan in without_pages):
            return 0
        tokens = max(0, _room(holding_pages)) // (self.page_bytes[kv_type] * self.fixed.sessions) * PAGE_TOKENS
        if tokens >= most:
            return most
        return tokens - tokens % (_CONTEXT_STEP if tokens >= _CONTEXT_STEP else PAGE_TOKENS)

    def _under_each_limit(self, kv_type: KVType, context: int) -> list[MemoryPlan]:
        plan = replace(self.fixed, kv_type=kv_type, context=context, compiler_bytes=self.compiler_bytes[kv_type])
        plan = replace(plan, kv_cache_bytes=plan.num_pages * self.page_bytes[kv_type])
        return [replace(plan, limit_source=source, limit_bytes=limit) for source, limit in self.limits]


def _room(plan: MemoryPlan) -> int:
    """Return what the limit leaves, negative if the plan exceeds it."""
    assert plan.limit_bytes is not None
    return plan.limit_bytes - plan.total_bytes


def _preferences(
    spec: ModelSpec, candidates: tuple[KVType, ...], context: int | None
) -> Iterator[tuple[KVType, int, int]]:
    """Yield (KV type, fewest tokens, most tokens) in the order in which they are tried; the most that fit are taken.

    f16 with the default context; then q8 with the default context or down to half of it, because it is nearly exact;
    then q4 with as much as fits. The last candidate may go down to `LEAST_CONTEXT`. A context that was asked for stays.
    """
    default = min(DEFAULT_CONTEXT, spec.context_length)
    for each in candidates:
        if context is not None:
            yield each, context, context
        elif each is candidates[-1]:
            yield each, min(LEAST_CONTEXT, default), default
        else:
            yield each, default if each is KVType.F16 else -(-default // 2), default


def _binding_limit(device: DeviceProfile, mapped_bytes: int, memory_bytes: int | None) -> tuple[str, int]:
    """Return the source and the bytes of the smallest limit; what is mapped comes on top where it does not count."""
    limits = {
        limit.source: limit.process_bytes + (0 if limit.counts_mapped else mapped_bytes)
        for limit in device.memory_limits
    }
    if memory_bytes is not None:
        limits["--memory"] = memory_bytes
    return min(limits.items(), key=lambda item: item[1])


def _usable_kv_types(spec: ModelSpec, backend: Backend) -> tuple[KVType, ...]:
    """Return the backend's types, without the quantized ones if the model's heads do not divide into their groups."""
    return tuple(each for each in backend.kv_types if each is KVType.F16 or spec.head_dim % GROUP_VALUES == 0)


def _check_request(
    spec: ModelSpec,
    backend: Backend,
    kv_types: tuple[KVType, ...],
    context: int | None,
    kv_type: KVType | None,
    sessions: int,
) -> None:
    if context is not None and not 1 <= context <= spec.context_length:
        raise InvalidRequestError(
            f"A context of {context} tokens was asked for; {spec.name} has 1 to {spec.context_length}.",
            "Choose a context within that range.",
        )
    if kv_type is not None and kv_type not in kv_types:
        raise InvalidRequestError(
            f"A KV cache of type {kv_type.value} was asked for; backend {backend.name!r} has "
            f"{', '.join(each.value for each in kv_types)} for {spec.name}.",
            "Choose one of them, or leave it out.",
        )
    if not 1 <= sessions <= _MOST_SESSIONS:
        raise InvalidRequestError(
            f"Room for {sessions} sessions was asked for; 1 to {_MOST_SESSIONS} make sense.", "Choose fewer sessions."
        )


def _remedies(plan: MemoryPlan, choices: _Choices) -> Iterator[str]:
    fitting = choices.largest_context(plan.kv_type, plan.context)
    yield f"a smaller context ({f'--context {fitting} fits' if fitting else 'none is small enough'})"
    types = list(choices.page_bytes)
    smaller = [each for each in types[types.index(plan.kv_type) + 1 :] if choices.plan(each, plan.context).fits]
    yield f"a smaller KV type ({f'--kv {smaller[0].value} fits' if smaller else 'none is small enough'})"
    if plan.sessions > 1:
        yield "fewer sessions (--sessions)"
    if "weights" not in plan.counted_components:
        return
    weights = plan.weight_bytes - plan.shortfall_bytes
    yield f"a smaller model ({f'weights of {weights // MIB:,} MiB fit' if weights >= MIB else 'none is small enough'})"


def _mib(num_bytes: int) -> str:
    return f"{-(-num_bytes // MIB):,}"
