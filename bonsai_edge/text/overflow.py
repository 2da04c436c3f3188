"""What becomes of a prompt that does not fit into the context together with its answer.

It is refused with the numbers, or shortened by the policy that the request asked for, and the result says by how much.
Nothing here knows the engine: all of it happens before the first step.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TypeAlias

import msgspec

from bonsai_edge.errors import ContextOverflowError, InvalidRequestError
from bonsai_edge.generation import DEFAULT_MAX_TOKENS, Dropped, GenerationOptions, Message, OverflowPolicy
from bonsai_edge.text.tokenizer import Tokenizer

CUT_MARKER = " [...] "
"""Stands where `truncate_middle` cut, so that the model does not read the two ends as one sentence."""

_LEAST_KEPT = 8  # tokens of a text that is cut: on either side a character, which may take four
_ANSWER_SHARE = 4  # of the context, at least one part in so many, is left to an answer without max_tokens
_END_OF_THOUGHTS = "</think>"

Prompt: TypeAlias = "str | list[Message]"
Encode: TypeAlias = Callable[[Prompt], list[int]]


@dataclass(frozen=True)
class FittedPrompt:
    """A prompt that fits into the context with an answer of `max_tokens`.

    `num_sent` counts the tokens of the prompt as it was sent. `is_answer_limited` says that no number was asked for
    and that the context has less room than the usual DEFAULT_MAX_TOKENS.
    """

    token_ids: list[int]
    num_sent: int
    max_tokens: int
    is_answer_limited: bool
    dropped: Dropped | None


def fit_prompt(
    prompt: Prompt, options: GenerationOptions, *, context: int, tokenizer: Tokenizer, encode: Encode
) -> FittedPrompt:
    """Encode a prompt, and shorten it as `options.on_overflow` says if it does not fit.

    Raises ContextOverflowError if it may not be shortened, or not so far, and InvalidRequestError for a policy that
    has no meaning for this prompt.
    """
    policy = options.on_overflow
    if policy == "drop_oldest_turns" and isinstance(prompt, str):
        raise InvalidRequestError(
            "on_overflow is 'drop_oldest_turns', and the prompt is a text, which has no turns.",
            "Send messages, or choose 'truncate_middle'.",
        )
    token_ids = encode(prompt)
    num_sent, dropped = len(token_ids), None
    answer_tokens = options.max_tokens or least_answer(policy, context)
    if num_sent + answer_tokens > context:
        shortened = _shorten(prompt, token_ids, policy, context - answer_tokens, tokenizer, encode)
        if shortened is not None:
            token_ids, dropped = shortened
        elif num_sent + (options.max_tokens or 1) > context:  # else a short answer is better than none
            raise _refusal(options, num_sent, context)
    room = context - len(token_ids)
    return FittedPrompt(
        token_ids=token_ids,
        num_sent=num_sent,
        max_tokens=options.max_tokens or min(DEFAULT_MAX_TOKENS, room),
        is_answer_limited=options.max_tokens is None and room < DEFAULT_MAX_TOKENS,
        dropped=dropped,
    )


def least_answer(policy: OverflowPolicy, context: int) -> int:
    """Return the tokens that a policy leaves to an answer whose max_tokens is open.

    One where the prompt may not be touched; else a quarter of the context, and at most DEFAULT_MAX_TOKENS.
    """
    return 1 if policy == "refuse" else max(1, min(DEFAULT_MAX_TOKENS, context // _ANSWER_SHARE))


def _shorten(
    prompt: Prompt, token_ids: list[int], policy: OverflowPolicy, most: int, tokenizer: Tokenizer, encode: Encode
) -> tuple[list[int], Dropped] | None:
    """Return at most so many tokens of a prompt and what was left out; None if the policy cannot do that."""
    if policy == "refuse":
        return None
    if isinstance(prompt, str):
        return _cut_text(tokenizer, token_ids, most)
    if policy == "truncate_middle":
        return _cut_messages(tokenizer, encode, prompt, token_ids, most)
    return _drop_oldest_turns(encode, prompt, token_ids, most)


def _refusal(options: GenerationOptions, num_sent: int, context: int) -> ContextOverflowError:
    policy, room = options.on_overflow, context - num_sent
    answer_tokens = options.max_tokens or least_answer(policy, context)
    asked = "" if options.max_tokens is None else f", max_tokens asks for {options.max_tokens} more,"
    cause = f"The prompt has {num_sent} tokens{asked} and the context holds {context}, answer included."
    if policy == "refuse":
        other_way = "or let on_overflow leave something out"
    else:
        cause += f" {policy} cannot shorten the prompt to {max(0, context - answer_tokens)}."
        other_way = "or choose another policy in on_overflow"
    fewer = f"Set max_tokens to {room} or less, or shorten" if room > 0 else "Shorten"
    return ContextOverflowError(
        cause,
        f"{fewer} the prompt, load the model with a larger context, {other_way}.",
        prompt_tokens=num_sent,
        limit=context,
        max_tokens=answer_tokens,
    )


def _cut_text(tokenizer: Tokenizer, token_ids: list[int], most: int) -> tuple[list[int], Dropped] | None:
    """Cut the middle out of a text of which at most so many tokens may stay; None if that is too few."""
    marker_ids = tokenizer.encode(CUT_MARKER)
    if most < len(marker_ids) + _LEAST_KEPT:
        return None
    head, tail = _middle(tokenizer, token_ids, most - len(marker_ids))
    dropped = Dropped(policy="truncate_middle", tokens=tail - head, first_position=head)
    return [*token_ids[:head], *marker_ids, *token_ids[tail:]], dropped


def _cut_messages(
    tokenizer: Tokenizer, encode: Encode, messages: list[Message], sent_ids: list[int], most: int
) -> tuple[list[int], Dropped] | None:
    """Cut the middle out of the longest messages, all to one length, until the conversation fits; None if it cannot.

    System messages, and the thoughts before an answer, which templates look for, stay whole.
    """
    bodies = {
        index: tokenizer.encode(_split_thoughts(message)[1])
        for index, message in enumerate(messages)
        if message.role != "system"
    }
    num_marker = len(tokenizer.encode(CUT_MARKER))

    def cuts_to(length: int) -> dict[int, tuple[int, int]]:
        return {i: _middle(tokenizer, ids, length - num_marker) for i, ids in bodies.items() if len(ids) > length}

    def encode_cut(cuts: Mapping[int, tuple[int, int]]) -> list[int]:
        shortened = list(messages)
        for index, (head, tail) in cuts.items():
            kept = tokenizer.decode(bodies[index][:head]), tokenizer.decode(bodies[index][tail:])
            content = _split_thoughts(messages[index])[0] + CUT_MARKER.join(kept)
            shortened[index] = msgspec.structs.replace(messages[index], content=content)
        return encode(shortened)

    # Tried and not computed: tokens merge anew where texts meet, and a template may leave out what was counted.
    lengths = range(num_marker + _LEAST_KEPT, max(map(len, bodies.values()), default=0))
    num_fitting = bisect_left(lengths, True, key=lambda length: len(encode_cut(cuts_to(length))) > most)
    if num_fitting == 0:
        return None
    cuts = cuts_to(lengths[num_fitting - 1])
    token_ids = encode_cut(cuts)
    return token_ids, Dropped(
        policy="truncate_middle",
        tokens=sum(tail - head for head, tail in cuts.values()),
        first_position=_common_prefix(sent_ids, token_ids),
        messages=tuple(cuts),
    )


def _drop_oldest_turns(
    encode: Encode, messages: list[Message], sent_ids: list[int], most: int
) -> tuple[list[int], Dropped] | None:
    """Drop as few of the oldest turns as it takes; None if what follows the last user message is still too long."""
    turns = _turns(messages)

    def encode_without(num_turns: int) -> list[int]:
        gone = set(chain.from_iterable(turns[:num_turns]))
        return encode([message for index, message in enumerate(messages) if index not in gone])

    num_turns = bisect_left(range(len(turns)), True, lo=1, key=lambda count: len(encode_without(count)) <= most)
    if num_turns >= len(turns):
        return None
    token_ids = encode_without(num_turns)
    return token_ids, Dropped(
        policy="drop_oldest_turns",
        tokens=len(sent_ids) - len(token_ids),
        first_position=_common_prefix(sent_ids, token_ids),
        turns=num_turns,
        messages=tuple(chain.from_iterable(turns[:num_turns])),
    )


def _turns(messages: Sequence[Message]) -> list[list[int]]:
    """Return the indices of each turn's messages: one of the user, and all up to the next; the system's are in none."""
    turns: list[list[int]] = []
    for index, message in enumerate(messages):
        if message.role == "system":
            continue
        if message.role == "user" or not turns:
            turns.append([])
        turns[-1].append(index)
    return turns


def _middle(tokenizer: Tokenizer, token_ids: Sequence[int], num_kept: int) -> tuple[int, int]:
    """Return where the middle begins and ends that must go so that at most `num_kept` tokens stay.

    The text before and after it has whole characters only.
    """
    head, tail = (num_kept + 1) // 2, len(token_ids) - num_kept // 2
    while head > 0 and not _begins_character(tokenizer, token_ids[head]):
        head -= 1
    while tail < len(token_ids) and not _begins_character(tokenizer, token_ids[tail]):
        tail += 1
    return head, tail


def _begins_character(tokenizer: Tokenizer, token_id: int) -> bool:
    first = tokenizer.token_bytes(token_id, special=True)[:1]
    return not b"\x80" <= first < b"\xc0"  # UTF-8's bytes within a character


def _common_prefix(first: Sequence[int], second: Sequence[int]) -> int:
    for position, (a, b) in enumerate(zip(first, second, strict=False)):
        if a != b:
            return position
    return min(len(first), len(second))


def _split_thoughts(message: Message) -> tuple[str, str]:
    """Return the thoughts that an answer begins with, their end tag included, and the rest."""
    if message.role != "assistant":
        return "", message.content
    thoughts, tag, answer = message.content.rpartition(_END_OF_THOUGHTS)
    return thoughts + tag, answer
