"""One answer under way: what the engine's tokens mean to whoever asked for text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from bonsai_edge.engine.batching import Outcome, advance
from bonsai_edge.engine.engine import Engine
from bonsai_edge.engine.token_generation import TokenGeneration
from bonsai_edge.errors import BonsaiError
from bonsai_edge.generation import FinishReason, GenerationEvent, GenerationResult, Timings, Usage
from bonsai_edge.text.answer import AnswerText
from bonsai_edge.text.overflow import FittedPrompt

Events: TypeAlias = "list[GenerationEvent] | BonsaiError"
"""What a step brought to one answer: chunks, and last the result; or why it cannot go on."""


@dataclass(frozen=True)
class Origin:
    """What a result says about what made it."""

    model: str
    backend: str
    load_s: float
    seed: int
    backend_note: str | None = None


class TextGeneration:
    """Made by `Model.begin`. It is opened, brought on by `advance_texts` until it `is_finished`, and closed.

    `open`, `suspend` and `can_be_suspended` are those of `TokenGeneration`.
    """

    def __init__(self, tokens: TokenGeneration, text: AnswerText, fitted: FittedPrompt, origin: Origin) -> None:
        self.tokens = tokens
        self.is_finished = False
        self._text = text
        self._fitted = fitted
        self._origin = origin

    @property
    def can_be_suspended(self) -> bool:
        """Whether it may give its room in the KV cache to others and go on later."""
        return self.tokens.can_be_suspended

    @property
    def num_computed(self) -> int:
        """Tokens that it had computed, of prompt and answer."""
        return self.tokens.num_prefilled + self.tokens.num_decode_steps

    @property
    def prefill_progress(self) -> tuple[int, int]:
        """How many tokens of the prompt are in the KV cache, and how many it has."""
        return self.tokens.prefill_progress

    def open(self) -> None:
        """Take room in the KV cache. Raises KVCacheFullError."""
        self.tokens.open()

    def suspend(self) -> None:
        """Give the room to others until it is opened again."""
        self.tokens.suspend()

    def close(self) -> None:
        """Give the room back."""
        self.tokens.close()

    def take(self, outcome: Outcome) -> Events:
        """Turn what a step brought into events, and end where the text has a stop string."""
        if isinstance(outcome, BonsaiError):
            return outcome
        events: list[GenerationEvent] = []
        if outcome is not None:
            chunk = self._text.push(outcome, self.tokens.last_logprob)
            if chunk is not None:
                events.append(chunk)
        finish_reason = "stop" if self._text.is_stopped else self.tokens.finish_reason
        if finish_reason is not None:
            self.close()
            self.is_finished = True
            rest = self._text.finish()
            if rest is not None:
                events.append(rest)
            events.append(self._result(finish_reason))
        return events

    def _result(self, finish_reason: FinishReason) -> GenerationResult:
        tokens = self.tokens
        return GenerationResult(
            text=self._text.text,
            token_ids=tokens.token_ids,
            finish_reason=finish_reason,
            usage=Usage(self._fitted.num_sent, len(tokens.token_ids), tokens.num_cached),
            timings=Timings(
                load_s=self._origin.load_s,
                prefill_s=tokens.prefill_s,
                decode_s=tokens.decode_s,
                prefill_tokens_per_s=_speed(tokens.num_prefilled, tokens.prefill_s),
                decode_tokens_per_s=_speed(tokens.num_decode_steps, tokens.decode_s),
                first_token_s=tokens.first_token_s,
                inter_token_s=tokens.inter_token_s,
            ),
            backend=self._origin.backend,
            model=self._origin.model,
            seed=self._origin.seed,
            context_full=finish_reason == "length" and self._fitted.is_answer_limited,
            dropped=self._fitted.dropped or tokens.forgotten,
            backend_note=self._origin.backend_note,
        )


def advance_texts(engine: Engine, generations: Sequence[TextGeneration]) -> list[Events]:
    """Run one step of several answers; see `engine.batching.advance`."""
    outcomes = advance(engine, [generation.tokens for generation in generations])
    return [generation.take(outcome) for generation, outcome in zip(generations, outcomes, strict=True)]


def _speed(num_tokens: int, seconds: float) -> float | None:
    return num_tokens / seconds if num_tokens > 0 and seconds > 0 else None
