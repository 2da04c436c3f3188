"""One request on the engine: prefill, then sample and decode until something ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.sampling import Sampler
from bonsai_edge.generation import FinishReason


class TokenGeneration:
    """Iterate over it for the sampled tokens, the stop token left out; afterwards read how it went.

    `cancelled` is asked before every forward step. What is cached of the prompt is not computed again. Room in the KV
    cache is held from the first step to the end of the iteration, or until the iterator is closed.
    """

    def __init__(
        self,
        engine: Engine,
        prompt_ids: Sequence[int],
        sampler: Sampler,
        max_tokens: int,
        stop_ids: Collection[int],
        cancelled: Callable[[], bool],
    ) -> None:
        self.token_ids: list[int] = []
        self.finish_reason: FinishReason = "length"
        self.prefill_s = 0.0
        self.decode_s = 0.0
        self.num_cached = 0
        self.num_prefilled = 0
        self.num_decode_steps = 0
        self._engine = engine
        self._prompt_ids = prompt_ids
        self._sampler = sampler
        self._max_tokens = max_tokens
        self._stop_ids = stop_ids
        self._cancelled = cancelled

    def __iter__(self) -> Generator[int]:
        with self._adding_to("prefill_s"):
            sequence = self._engine.open_prompt(self._prompt_ids, self._max_tokens)
        with sequence:
            self.num_cached = sequence.length
            with self._adding_to("prefill_s"):
                logits = sequence.prefill(self._prompt_ids[self.num_cached :], self._cancelled)
            self.num_prefilled = sequence.length - self.num_cached
            while logits is not None:
                with self._adding_to("decode_s"):
                    token_id = self._sampler.sample(logits)
                if token_id in self._stop_ids:
                    self.finish_reason = "stop"
                    return
                self.token_ids.append(token_id)
                yield token_id
                if len(self.token_ids) == self._max_tokens:
                    return
                if self._cancelled():
                    break
                with self._adding_to("decode_s"):
                    logits = sequence.decode(token_id)
                self.num_decode_steps += 1
            self.finish_reason = "cancelled"

    @contextmanager
    def _adding_to(self, counter: Literal["prefill_s", "decode_s"]) -> Iterator[None]:
        """Time what is inside; the consumer's own time between two tokens is not counted."""
        started = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, counter, getattr(self, counter) + time.perf_counter() - started)
