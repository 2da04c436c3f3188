"""One request on the engine: prefill, then sample and decode until something ends it."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

from bonsai_edge.engine.context_shift import ShiftedContext
from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.sampling import Sampler
from bonsai_edge.engine.sequence import TokenSequence
from bonsai_edge.errors import ContextOverflowError
from bonsai_edge.generation import Dropped, FinishReason
from bonsai_edge.kv_cache import PAGE_TOKENS


class TokenGeneration:
    """Iterate over it for the sampled tokens, the stop token left out; afterwards read how it went.

    `cancelled` is asked before every forward step, and often while the context is shifted. What is cached of the prompt
    is not computed again. Room in the KV cache is held from the first step to the end of the iteration, or until the
    iterator is closed.

    With a `shifted` context prompt and answer may have more tokens than it. Raises ContextOverflowError if they have
    and it is too small to be shifted.
    """

    def __init__(
        self,
        engine: Engine,
        prompt_ids: Sequence[int],
        sampler: Sampler,
        max_tokens: int,
        stop_ids: Collection[int],
        cancelled: Callable[[], bool],
        shifted: ShiftedContext | None = None,
    ) -> None:
        self.token_ids: list[int] = []
        self.finish_reason: FinishReason = "length"
        self.prefill_s = 0.0
        self.decode_s = 0.0
        self.num_cached = 0
        self.num_prefilled = 0
        self.num_decode_steps = 0
        self.num_shifts = 0
        self.num_forgotten = 0
        self._engine = engine
        self._prompt_ids = prompt_ids
        self._sampler = sampler
        self._max_tokens = max_tokens
        self._stop_ids = stop_ids
        self._cancelled = cancelled
        if shifted is not None and len(prompt_ids) + max_tokens <= shifted.length:
            shifted = None
        if shifted is not None and shifted.length < shifted.least_length:
            raise ContextOverflowError(
                f"The prompt has {len(prompt_ids)} tokens, the answer may have {max_tokens}, and a context of "
                f"{shifted.length} is too small to be shifted.",
                f"Load the model with a context of at least {shifted.least_length}, or shorten the system's messages.",
                prompt_tokens=len(prompt_ids),
                limit=shifted.length,
                max_tokens=max_tokens,
            )
        self._shifted = shifted

    def __iter__(self) -> Generator[int]:
        with self._adding_to("prefill_s"):
            sequence = self._open()
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
                    if not self._make_room(sequence):
                        break
                    logits = sequence.decode(token_id)
                self.num_decode_steps += 1
            self.finish_reason = "cancelled"

    @property
    def forgotten(self) -> Dropped | None:
        """What the shifts have dropped, None if there was none."""
        if self._shifted is None or self.num_shifts == 0:
            return None
        first_position = self._shifted.num_sink_pages * PAGE_TOKENS
        return Dropped(policy="shift", tokens=self.num_forgotten, first_position=first_position, shifts=self.num_shifts)

    def _open(self) -> TokenSequence:
        if self._shifted is not None:
            return self._engine.open_shifted(self._prompt_ids, self._shifted.length)
        return self._engine.open_prompt(self._prompt_ids, self._max_tokens)

    def _make_room(self, sequence: TokenSequence) -> bool:
        """Shift the context if it is full; False if cancelled meanwhile."""
        if self._shifted is None or sequence.length < self._shifted.length:
            return True
        num_dropped = sequence.shift(self._shifted.num_sink_pages, self._cancelled)
        if num_dropped is None:
            return False
        self.num_forgotten += num_dropped
        self.num_shifts += 1
        return True

    @contextmanager
    def _adding_to(self, counter: Literal["prefill_s", "decode_s"]) -> Iterator[None]:
        """Time what is inside; the consumer's own time between two tokens is not counted."""
        started = time.perf_counter()
        try:
            yield
        finally:
            setattr(self, counter, getattr(self, counter) + time.perf_counter() - started)
