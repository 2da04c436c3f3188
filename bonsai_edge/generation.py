"""What a generation is asked for and what it answers: shared by the Python API, the CLI and the wire.

Light on purpose (msgspec only), so that a client on a small machine can import it.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

import msgspec

from bonsai_edge.errors import InvalidRequestError

DEFAULT_MAX_TOKENS = 512
MOST_LOGIT_BIAS = 1e6

FinishReason: TypeAlias = Literal["stop", "length", "time", "repetition", "cancelled"]
OverflowPolicy: TypeAlias = Literal["refuse", "truncate_middle", "drop_oldest_turns", "shift"]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str


class GenerationOptions(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Limits and sampling of one generation; None means the model's own default.

    Samplers run in llama.cpp's order: logit bias, penalties, top-k, top-p, min-p, temperature.
    """

    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=1 << 20)] | None = None
    """A number that does not fit into the context beside the prompt is an overflow. None takes the room that there is,
    up to DEFAULT_MAX_TOKENS; the result says when the context was the limit."""
    on_overflow: OverflowPolicy = "refuse"
    """What happens when prompt and answer do not fit into the context together: docs/context.md."""
    temperature: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] | None = None
    """0 is greedy: the token with the largest logit."""
    top_k: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] | None = None
    """0 switches it off."""
    top_p: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] | None = None
    min_p: Annotated[float, msgspec.Meta(ge=0.0, le=1.0)] | None = None
    repetition_penalty: Annotated[float, msgspec.Meta(gt=0.0, le=10.0)] | None = None
    """Divides positive and multiplies negative logits of tokens seen in the window; 1 switches it off."""
    presence_penalty: Annotated[float, msgspec.Meta(ge=-10.0, le=10.0)] = 0.0
    frequency_penalty: Annotated[float, msgspec.Meta(ge=-10.0, le=10.0)] = 0.0
    penalty_window: Annotated[int, msgspec.Meta(ge=0, le=1 << 20)] = 64
    """How many of the last tokens, prompt included, the three penalties look at."""
    logit_bias: dict[Annotated[int, msgspec.Meta(ge=0)], Annotated[float, msgspec.Meta(le=MOST_LOGIT_BIAS)]] = {}
    """Token id to a value added to its logit; -inf forbids the token."""
    seed: Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)] | None = None
    """None draws a fresh seed, which the result reports."""
    stop: Annotated[
        tuple[Annotated[str, msgspec.Meta(min_length=1, max_length=256)], ...], msgspec.Meta(max_length=16)
    ] = ()
    """Generation ends before the first of these strings, which is not part of the text."""
    max_time_s: Annotated[float, msgspec.Meta(gt=0.0, le=86_400.0)] | None = None
    """Generation ends with what there is, and the reason "time", so long after it was begun; waiting for other
    requests is not counted."""
    max_repeats: Annotated[int, msgspec.Meta(ge=2, le=1_000)] | None = None
    """Generation ends with the reason "repetition" when the same 1 to 64 tokens were said so often in a row."""
    logprobs: Annotated[int, msgspec.Meta(ge=0, le=20)] | None = None
    """Every chunk has the log-probabilities of its tokens, beside those of so many of the most likely ones."""

    @classmethod
    def from_keywords(cls, keywords: dict[str, Any]) -> GenerationOptions:
        """Check keyword arguments against types and ranges.

        Raises InvalidRequestError that names the offending option.
        """
        try:
            return msgspec.convert(keywords, cls)
        except msgspec.ValidationError as exc:
            names = ", ".join(cls.__struct_fields__)
            raise InvalidRequestError(
                f"A generation option is not valid: {exc}.", f"Correct it; the options are {names}."
            ) from exc


class Usage(msgspec.Struct, frozen=True):
    """Token counts of one request; `cached_tokens` are those of the prompt that did not have to be computed."""

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0


class InterTokenTimes(msgspec.Struct, frozen=True):
    """Percentiles of the seconds between two tokens, as whoever waits for them sees it."""

    p50: float
    p95: float
    p99: float


class Timings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the time of one request went, in seconds, and the two speeds in tokens per second.

    Decoding is timed from the end of prefill, sampling included, and its speed counts the steps after it; a speed is
    None when there was nothing to time. Steps that computed other requests too are counted whole.
    """

    load_s: float
    queue_s: float = 0.0
    prefill_s: float
    decode_s: float
    prefill_tokens_per_s: float | None
    decode_tokens_per_s: float | None
    first_token_s: float | None = None
    """From the beginning of the computation, `queue_s` later than the request; None without a token."""
    inter_token_s: InterTokenTimes | None = None
    """None with less than two tokens."""


class Dropped(msgspec.Struct, frozen=True, kw_only=True):
    """What an overflow policy left out."""

    policy: OverflowPolicy
    tokens: int
    """Tokens of the prompt that the model did not read, a marker in their place not counted; after shifts those of
    prompt and answer that it forgot on the way."""
    first_position: int
    """Where the first of them stood: up to there the model had the prompt as it was sent."""
    shifts: int = 0
    """How often the context was shifted."""
    turns: int = 0
    """Whole turns that were dropped."""
    messages: tuple[int, ...] = ()
    """Indices of the messages that were dropped or shortened."""


class TokenLogprob(msgspec.Struct, frozen=True):
    """The natural logarithm of a token's probability, and the most likely tokens with theirs, the likeliest first."""

    token_id: int
    logprob: float
    top: tuple[tuple[int, float], ...] = ()


class TextChunk(msgspec.Struct, frozen=True, omit_defaults=True, tag="chunk", tag_field="type"):
    """A piece of the answer: whole characters, and the tokens that completed them.

    `index` counts chunks from 0 without gaps. The texts of all chunks joined are the text of the result.
    """

    index: int
    text: str
    token_ids: list[int]
    logprobs: list[TokenLogprob] | None = None
    """One for each of `token_ids`, if they were asked for."""


class GenerationResult(msgspec.Struct, frozen=True, kw_only=True, tag="result", tag_field="type"):
    """The last event of every generation.

    `token_ids` are all sampled tokens, the stop token left out. `usage` counts the prompt as it was sent. `seed`
    repeats the run.
    """

    text: str
    token_ids: list[int]
    finish_reason: FinishReason
    usage: Usage
    timings: Timings
    backend: str
    model: str
    seed: int
    context_full: bool = False
    """Whether the finish reason "length" means that the context had no more room for an answer without max_tokens."""
    dropped: Dropped | None = None
    """None when the model read all of the prompt."""
    backend_note: str | None = None
    """Why another backend computes than the one that was asked for, or would be best; None if it does."""
    throttled: bool | None = None
    """Whether a sensor of the server said meanwhile that the hardware slowed itself down; None where nothing tells."""


GenerationEvent: TypeAlias = TextChunk | GenerationResult
