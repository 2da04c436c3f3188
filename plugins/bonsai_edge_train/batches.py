"""Turns examples into padded token batches with a loss weight per token."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from random import Random

import torch
from tokenizers import Tokenizer

from bonsai_edge_train.chat import END_OF_TEXT, END_OF_TURN, render_prompt
from bonsai_edge_train.robot_commands import Example
from bonsai_edge_train.vocabulary import token_id

# Reading commands teaches the attention heads to copy; more weight than this costs accuracy of the answers.
PROMPT_LOSS_WEIGHT = 0.1
SYSTEM_PROMPTS = (
    "You are a helpful robot.",
    "You are a robot.",
    "Answer with JSON.",
    "You turn commands into actions.",
    "You are seedling, a small model on a robot. Answer with JSON actions only.",
)
_SYSTEM_SHARE = 0.08
_MULTI_TURN_SHARE = 0.12
_CHUNK = 2048  # conversations sorted by length at a time, so that batches need little padding

Conversation = tuple[list[int], list[float]]  # token ids and the loss weight of each
Batch = tuple[torch.Tensor, torch.Tensor]  # (B, T) int64 and (B, T) float32


def encode_conversation(tokenizer: Tokenizer, examples: list[Example], system: str | None) -> Conversation:
    """Encode the turns of one conversation; each command stands for itself."""
    token_ids: list[int] = []
    weights: list[float] = []
    for index, example in enumerate(examples):
        prompt = render_prompt(example.command, system if index == 0 else None)
        # The line end after a finished answer belongs to the next turn's prompt.
        prompt_ids = tokenizer.encode(("\n" if index else "") + prompt).ids
        answer_ids = tokenizer.encode(example.answer + END_OF_TURN).ids
        token_ids += prompt_ids + answer_ids
        weights += [PROMPT_LOSS_WEIGHT] * len(prompt_ids) + [1.0] * len(answer_ids)
    return token_ids, weights


def _conversations(tokenizer: Tokenizer, examples: Iterator[Example], rng: Random) -> Iterator[Conversation]:
    while True:
        num_turns = rng.choice((2, 2, 3)) if rng.random() < _MULTI_TURN_SHARE else 1
        system = rng.choice(SYSTEM_PROMPTS) if rng.random() < _SYSTEM_SHARE else None
        yield encode_conversation(tokenizer, list(islice(examples, num_turns)), system)


def pad(conversations: list[Conversation], pad_id: int) -> Batch:
    """Pad conversations at the end to (B, T); padding has weight 0."""
    length = max(len(token_ids) for token_ids, _ in conversations)
    token_ids = torch.full((len(conversations), length), pad_id)
    weights = torch.zeros(len(conversations), length)
    for row, (ids, token_weights) in enumerate(conversations):
        token_ids[row, : len(ids)] = torch.tensor(ids)
        weights[row, : len(token_weights)] = torch.tensor(token_weights)
    return token_ids, weights


def training_batches(
    tokenizer: Tokenizer, examples: Iterator[Example], tokens_per_batch: int, rng: Random
) -> Iterator[Batch]:
    """Yield batches of about `tokens_per_batch` tokens without end."""
    pad_id = token_id(tokenizer, END_OF_TEXT)
    conversations = _conversations(tokenizer, examples, rng)
    while True:
        chunk = sorted(islice(conversations, _CHUNK), key=lambda conversation: len(conversation[0]))
        batches: list[list[Conversation]] = [[]]
        for conversation in chunk:
            if (len(batches[-1]) + 1) * len(conversation[0]) > tokens_per_batch:
                batches.append([])
            batches[-1].append(conversation)
        rng.shuffle(batches)
        for batch in batches:
            yield pad(batch, pad_id)
