"""Whether a server is well: what its state is called, and why it is not simply ready."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Literal, TypeAlias

from bonsai_edge.rpc.messages import Degradation
from bonsai_edge.rpc.request_control import EngineSnapshot

_LOW_MEMORY_BYTES = 64 << 20
"""With less to give the system begins to evict the mapped weights, and each step reads them again."""
SILENCE_LIMIT_S = 10.0
"""A step takes a tenth of a second, and seconds on the slowest boards."""

State: TypeAlias = Literal["loading", "ready", "degraded", "stopping"]


@dataclass(frozen=True)
class Health:
    """The parts of a ServerStatus that are a judgement."""

    state: State
    live: bool
    ready: bool
    degraded_by: tuple[Degradation, ...]
    engine_silent_s: float | None


def judge(
    engine: EngineSnapshot,
    *,
    has_model: bool,
    is_stopping: bool,
    halt_reason: str | None,
    is_throttled: bool,
    available_bytes: int,
) -> Health:
    """Sum up what is known of the engine and the machine."""
    silent_s = None if engine.silent_since is None else time.monotonic() - engine.silent_since
    is_silent = silent_s is not None and silent_s > SILENCE_LIMIT_S
    signs: dict[Degradation, bool] = {
        "engine_silent": is_silent,
        "halted": halt_reason is not None,
        "memory_low": available_bytes < _LOW_MEMORY_BYTES,
        "throttled": is_throttled,
    }
    degraded_by = tuple(name for name, is_seen in signs.items() if is_seen)
    return Health(
        state="stopping" if is_stopping else "loading" if not has_model else "degraded" if degraded_by else "ready",
        live=not is_silent,
        ready=has_model and not is_stopping and not is_silent and halt_reason is None,
        degraded_by=degraded_by,
        engine_silent_s=silent_s,
    )
