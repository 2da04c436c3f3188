"""One request on the engine: prefill, then sample and decode until something ends it."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable, Collection, Sequence

import numpy as np
import numpy.typing as npt

from bonsai_edge.engine.context_shift import ShiftedContext
from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.logprobs import Logprobs
from bonsai_edge.engine.repetition import RepetitionGuard
from bonsai_edge.engine.sampling import Sampler
from bonsai_edge.engine.sequence import TokenSequence
from bonsai_edge.engine.step_part import StepPart
from bonsai_edge.errors import ContextOverflowError
from bonsai_edge.generation import Dropped, FinishReason, GenerationOptions, InterTokenTimes, TokenLogprob
from bonsai_edge.kv_cache import PAGE_TOKENS

_DEFAULT_OPTIONS = GenerationOptions()


class TokenGeneration:
    """Tokens of one answer, the stop token left out. `advance` of `engine/batching.py` drives one or several of them.

    It holds room in the KV cache for prompt and answer while it is open, and computes nothing again that is cached.
    `suspend` gives the room back to others: opened again it finds what is still cached, computes the rest anew, and
    goes on with the same tokens as if nothing had happened. `cancelled` is asked before every step, and often while the
    context is shifted.

    Of the options it knows the limits that are counted in tokens or time. With a `shifted` context prompt and answer
    may have more tokens than it. Raises ContextOverflowError if they have and it is too small to be shifted.
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
        options: GenerationOptions = _DEFAULT_OPTIONS,
    ) -> None:
        self.engine = engine
        self.token_ids: list[int] = []
        self.finish_reason: FinishReason | None = None
        self.last_logprob: TokenLogprob | None = None
        self.prefill_s = 0.0
        self.decode_s = 0.0
        self.first_token_s: float | None = None
        self.num_cached = 0
        self.num_prefilled = 0
        self.num_decode_steps = 0
        self.num_shifts = 0
        self.num_forgotten = 0
        self._prompt_ids = prompt_ids
        self._sampler = sampler
        self._max_tokens = max_tokens
        self._stop_ids = stop_ids
        self._cancelled = cancelled
        self._num_logprobs = options.logprobs
        self._max_time_s = options.max_time_s
        self._repetition = None if options.max_repeats is None else RepetitionGuard(options.max_repeats)
        self._shifted = _needed(shifted, len(prompt_ids), max_tokens)
        self._sequence: TokenSequence | None = None
        self._pending: Sequence[int] = ()
        self._num_computed = 0  # of those pending
        self._begun_at: float | None = None
        self._token_times = array("d")

    @property
    def is_open(self) -> bool:
        """Whether it holds room in the KV cache."""
        return self._sequence is not None

    @property
    def is_decoding(self) -> bool:
        """Whether it gives one token to the next step, not a chunk of a prompt."""
        return len(self._pending) - self._num_computed == 1 and bool(self.token_ids)

    @property
    def can_be_suspended(self) -> bool:
        """Whether it can go on from its tokens alone: a context that was shifted remembers more than them."""
        return self.num_shifts == 0

    @property
    def prefill_progress(self) -> tuple[int, int]:
        """How many tokens of the prompt are in the KV cache, and how many it has."""
        sequence = self._sequence  # which another thread than the one that asks may close
        in_cache = 0 if sequence is None else sequence.length
        return min(in_cache, len(self._prompt_ids)), len(self._prompt_ids)

    @property
    def inter_token_s(self) -> InterTokenTimes | None:
        """Percentiles of the time from one token to the next."""
        if len(self._token_times) < 2:
            return None
        return InterTokenTimes(*np.percentile(np.diff(self._token_times), (50, 95, 99)).tolist())

    @property
    def forgotten(self) -> Dropped | None:
        """What the shifts have dropped, None if there was none."""
        if self._shifted is None or self.num_shifts == 0:
            return None
        first_position = self._shifted.num_sink_pages * PAGE_TOKENS
        return Dropped(policy="shift", tokens=self.num_forgotten, first_position=first_position, shifts=self.num_shifts)

    def open(self) -> None:
        """Take room in the KV cache, for the first time or after `suspend`. Raises KVCacheFullError."""
        started = time.perf_counter()
        known_ids = [*self._prompt_ids, *self.token_ids]
        if self._shifted is not None:
            self._sequence = self.engine.open_shifted(known_ids, self._shifted.length)
        else:
            self._sequence = self.engine.open_prompt(known_ids, self._max_tokens - len(self.token_ids))
        if self._begun_at is None:
            self._begun_at = started
            self.num_cached = self._sequence.length
        self._pending, self._num_computed = known_ids[self._sequence.length :], 0
        self.prefill_s += time.perf_counter() - started

    def suspend(self) -> None:
        """Let others have its room in the KV cache until it is opened again; only if it `can_be_suspended`."""
        self.close()

    def close(self) -> None:
        """Give back its room in the KV cache; what was computed stays there until it is needed."""
        if self._sequence is not None:
            self._sequence.close()
            self._sequence = None

    def next_part(self, most_rows: int) -> StepPart | None:
        """Return what it puts into the next step; None if it has ended, because it was cancelled or took too long.

        Raises KVCacheFullError if its context must be shifted and cannot be.
        """
        if self._cancelled():
            self._end("cancelled")
            return None
        assert self._sequence is not None, "a generation is opened first"
        assert self._begun_at is not None
        if self._max_time_s is not None and time.perf_counter() >= self._begun_at + self._max_time_s:
            self._end("time")
            return None
        if self._shifted is not None:
            if not self._make_room(self._sequence, self._shifted):
                self._end("cancelled")
                return None
            most_rows = min(most_rows, self._shifted.length - self._sequence.length)
        rows = self._pending[self._num_computed : self._num_computed + most_rows]
        return self._sequence.part(rows, wants_logits=self._num_computed + len(rows) == len(self._pending))

    def take(self, num_rows: int, logits: npt.NDArray[np.float32], elapsed_s: float) -> int | None:
        """Take the outcome of a step with `num_rows` of its rows, and return the token that follows, if one does.

        logits: float32 (1, vocab_size), which are overwritten, or (0, vocab_size) when more of the prompt is to come.
        Raises MalformedModelError for logits that are not numbers.
        """
        if self.is_decoding:
            self.decode_s += elapsed_s
            self.num_decode_steps += 1
        else:
            self.prefill_s += elapsed_s
            self.num_prefilled += num_rows
        self._num_computed += num_rows
        if not len(logits):
            return None
        started = time.perf_counter()
        logprobs = None if self._num_logprobs is None else Logprobs(logits[0])
        token_id = self._sampler.sample(logits[0])
        now = time.perf_counter()
        self.decode_s += now - started
        if token_id in self._stop_ids:
            self._end("stop")
            return None
        self._remember(token_id, now)
        if logprobs is not None and self._num_logprobs is not None:
            self.last_logprob = logprobs.of(token_id, self._num_logprobs)
        if self._repetition is not None and self._repetition.is_repeating(token_id):
            self._end("repetition")
        elif len(self.token_ids) == self._max_tokens:
            self._end("length")
        return token_id

    def _remember(self, token_id: int, now: float) -> None:
        if self.first_token_s is None and self._begun_at is not None:
            self.first_token_s = now - self._begun_at
        self._token_times.append(now)
        self.token_ids.append(token_id)
        self._pending, self._num_computed = [token_id], 0

    def _make_room(self, sequence: TokenSequence, context: ShiftedContext) -> bool:
        """Shift the context if it is full; False if cancelled meanwhile."""
        if sequence.length < context.length:
            return True
        num_dropped = sequence.shift(context.num_sink_pages, self._cancelled)
        if num_dropped is None:
            return False
        self.num_forgotten += num_dropped
        self.num_shifts += 1
        return True

    def _end(self, reason: FinishReason) -> None:
        self.finish_reason = reason
        self.close()


def _needed(shifted: ShiftedContext | None, num_prompt_tokens: int, max_tokens: int) -> ShiftedContext | None:
    """Return the shifted context if the tokens do not fit into it without a shift."""
    if shifted is None or num_prompt_tokens + max_tokens <= shifted.length:
        return None
    if shifted.length < shifted.least_length:
        raise ContextOverflowError(
            f"The prompt has {num_prompt_tokens} tokens, the answer may have {max_tokens}, and a context of "
            f"{shifted.length} is too small to be shifted.",
            f"Load the model with a context of at least {shifted.least_length}, or shorten the system's messages.",
            prompt_tokens=num_prompt_tokens,
            limit=shifted.length,
            max_tokens=max_tokens,
        )
    return shifted
