"""A short trial of backends side by side, where only measuring tells which of them is faster on this machine."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, closing
from typing import TypeVar

import msgspec

from bonsai_edge.backend import Backend
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge.measuring.bonsai_shapes import BONSAI_1_7B
from bonsai_edge.measuring.keeping import Kept
from bonsai_edge.measuring.synthetic_model import few_layers, synthetic_checkpoint
from bonsai_edge.measuring.timed_model import Step, TimedModel

logger = logging.getLogger(__name__)

_Done = TypeVar("_Done")

PROMPT_TOKENS, ANSWER_TOKENS = 128, 32  # of the request that decides: a robot's are about so long
_DEPTH = 2 * PAGE_TOKENS
_MOST_WEIGHT_BYTES = 64 << 20
_SHARE_OF_AVAILABLE = 16  # for the weights; a backend may keep a second copy of them
_ROUNDS = 5
_ENOUGH_S = 3.0


class TrialResult(msgspec.Struct, frozen=True):
    """How fast a backend runs a few layers as wide as Bonsai 1.7B's; `failure` says why it did not, if so.

    `request_s` is what a prompt of 128 tokens with an answer of 32 would take: less is better.
    """

    backend: str
    decode_tokens_per_s: float | None = None
    prefill_tokens_per_s: float | None = None
    failure: str | None = None

    @property
    def request_s(self) -> float:
        """What decides; infinite where the trial failed."""
        if self.decode_tokens_per_s is None or self.prefill_tokens_per_s is None:
            return float("inf")
        return PROMPT_TOKENS / self.prefill_tokens_per_s + ANSWER_TOKENS / self.decode_tokens_per_s


class Trial(Kept, frozen=True):
    """The results of all backends that took part in one trial, the fastest first."""

    results: tuple[TrialResult, ...]


def run_trial(backends: Sequence[Backend], threads: int, available_bytes: int) -> tuple[TrialResult, ...]:
    """Time all backends in turns, for about a second each; one that raises is a failure and not the end."""
    model = synthetic_checkpoint(
        few_layers(BONSAI_1_7B.spec, min(_MOST_WEIGHT_BYTES, available_bytes // _SHARE_OF_AVAILABLE))
    )
    with ExitStack() as stack:
        contenders = [stack.enter_context(closing(_Contender(backend, model, threads))) for backend in backends]
        deadline = time.perf_counter() + _ENOUGH_S * len(backends)
        for _ in range(_ROUNDS):
            for contender in contenders:
                contender.take_turns()
            if time.perf_counter() > deadline:
                break
        results = [contender.result() for contender in contenders]
    return tuple(sorted(results, key=lambda result: result.request_s))


class _Contender:
    """A backend with the model, or why it has failed."""

    def __init__(self, backend: Backend, model: Checkpoint, threads: int) -> None:
        self._name = backend.name
        self._failure: str | None = None
        self._model = self._attempt(lambda: TimedModel(backend, model, backend.kv_types[0], threads, _DEPTH))

    def take_turns(self) -> None:
        """Time a token and a chunk of a prompt, unless it has failed before."""
        timed = self._model
        if timed is not None and self._failure is None:
            self._attempt(lambda: timed.take_turns((Step(1, _DEPTH), Step(timed.chunk_rows, 0))))

    def result(self) -> TrialResult:
        """Return what the turns tell."""
        if self._model is None or self._failure is not None:
            return TrialResult(self._name, failure=self._failure)
        decode_s = self._model.step_s(Step(1, _DEPTH))
        chunk_s = self._model.step_s(Step(self._model.chunk_rows, 0))
        return TrialResult(self._name, 1 / decode_s, self._model.chunk_rows / chunk_s)

    def close(self) -> None:
        if self._model is not None:
            self._model.close()

    def _attempt(self, action: Callable[[], _Done]) -> _Done | None:
        try:
            return action()
        except Exception as exc:  # whatever a backend raises, the others still compute
            logger.warning("Backend %r failed in a trial.", self._name, exc_info=True)
            self._failure = str(exc) or repr(exc)
            return None
