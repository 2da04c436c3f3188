"""Turns conversations into padded token batches with a loss weight per token."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import msgspec
import torch
from tokenizers import Tokenizer

from bonsai_edge_train.chat import END_OF_TEXT, END_OF_TURN, open_turn, render_turn
from bonsai_edge_train.config import TrainingConfig
from bonsai_edge_train.conversations import Conversation, open_source
from bonsai_edge_train.errors import TrainingDataError
from bonsai_edge_train.vocabulary import token_id

_CHUNK = 2048  # conversations sorted by length at a time, so that batches need little padding
_LENGTH_MULTIPLE = 8  # few sizes of batches: a CPU compiles its products for each one anew, in time and memory

EncodedConversation = tuple[list[int], list[float]]  # token ids and the loss weight of each
Batch = tuple[torch.Tensor, torch.Tensor]  # (B, T) int64 and (B, T) float32


def encode_turn(tokenizer: Tokenizer, prompt: str, answer: str, prompt_loss_weight: float) -> EncodedConversation:
    """Encode a rendered prompt and the answer to it."""
    prompt_ids = tokenizer.encode(prompt).ids
    answer_ids = tokenizer.encode(answer + END_OF_TURN).ids
    return prompt_ids + answer_ids, [prompt_loss_weight] * len(prompt_ids) + [1.0] * len(answer_ids)


def encode_conversation(
    tokenizer: Tokenizer, conversation: Conversation, prompt_loss_weight: float = 0.0
) -> EncodedConversation:
    """Encode as the chat template renders; the loss is on the answers and, with its weight, on all else."""
    token_ids: list[int] = []
    weights: list[float] = []
    prompt = ""
    for message in conversation.messages:
        if message.role == "assistant":
            prompt += open_turn(message.role)
            turn_ids, turn_weights = encode_turn(tokenizer, prompt, message.content, prompt_loss_weight)
            token_ids += turn_ids
            weights += turn_weights
            prompt = "\n"  # the line end after a finished answer belongs to the next turn's prompt
        else:
            prompt += render_turn(message.role, message.content)
    return token_ids, weights


def padded_length(num_tokens: int) -> int:
    """Round up to a multiple of 8."""
    return -(-num_tokens // _LENGTH_MULTIPLE) * _LENGTH_MULTIPLE


def pad(conversations: list[EncodedConversation], pad_id: int) -> Batch:
    """Pad conversations at the end to (B, T), T a multiple of 8; padding has weight 0."""
    length = padded_length(max(len(token_ids) for token_ids, _ in conversations))
    token_ids = torch.tensor([ids + [pad_id] * (length - len(ids)) for ids, _ in conversations])
    weights = torch.tensor([weights + [0.0] * (length - len(weights)) for _, weights in conversations])
    return token_ids, weights


class StreamPosition(msgspec.Struct, frozen=True):
    """Where a stream of batches stands: `batch` batches into chunk `chunk`, before which `num_drawn` were drawn."""

    num_drawn: int = 0
    chunk: int = 0
    batch: int = 0


@dataclass(frozen=True)
class PositionedBatch:
    """A batch of `num_tokens` tokens beside the padding, and the position from which the stream continues after it."""

    token_ids: torch.Tensor
    weights: torch.Tensor
    num_tokens: int
    next_position: StreamPosition


def training_batches(
    tokenizer: Tokenizer, config: TrainingConfig, position: StreamPosition
) -> Iterator[PositionedBatch]:
    """Yield batches of at most `tokens_per_batch` tokens without end, from `position` on.

    What is random depends on the seed and the chunk's number only, so a position is all that a resumed run needs.
    """
    pad_id = token_id(tokenizer, END_OF_TEXT)
    source = open_source(config.data, config.run.seed, position.num_drawn)
    while True:
        rng = Random(f"{config.run.seed}/{position.chunk}")
        chunk_start = source.num_drawn
        chunk = [
            encode_conversation(tokenizer, source.draw(rng), config.data.prompt_loss_weight) for _ in range(_CHUNK)
        ]
        check_lengths(chunk, config.model.context_length)
        batches = split_by_length(chunk, config.training.tokens_per_batch)
        rng.shuffle(batches)
        next_chunk = StreamPosition(source.num_drawn, position.chunk + 1)
        for number in range(position.batch, len(batches)):
            is_last = number + 1 == len(batches)
            position = next_chunk if is_last else StreamPosition(chunk_start, position.chunk, number + 1)
            num_tokens = sum(len(token_ids) for token_ids, _ in batches[number])
            yield PositionedBatch(*pad(batches[number], pad_id), num_tokens, position)


def check_lengths(conversations: list[EncodedConversation], context_length: int) -> None:
    """Raise TrainingDataError if a conversation is longer than the context; none is ever cut."""
    longest = max(len(token_ids) for token_ids, _ in conversations)
    if padded_length(longest) > context_length:
        raise TrainingDataError(
            f"A conversation has {longest} tokens, and `model.context_length` is {context_length}.",
            "Raise the context length, or remove long conversations from the data.",
        )


def split_by_length(conversations: list[EncodedConversation], tokens_per_batch: int) -> list[list[EncodedConversation]]:
    """Split into batches of similar length with at most `tokens_per_batch` tokens after padding.

    From the longest down, so that a length always comes with the same number of conversations.
    """
    longest_first = sorted(conversations, key=lambda conversation: -len(conversation[0]))
    batches: list[list[EncodedConversation]] = []
    start = 0
    while start < len(longest_first):
        end = start + max(1, tokens_per_batch // padded_length(len(longest_first[start][0])))
        batches.append(longest_first[start:end])
        start = end
    return batches
