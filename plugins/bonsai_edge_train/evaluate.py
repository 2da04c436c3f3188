"""Measures greedy answers of a trained model against the held-out sets."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from bonsai_edge_train.actions import is_valid_answer
from bonsai_edge_train.batches import encode_conversation, pad
from bonsai_edge_train.chat import END_OF_TEXT, END_OF_TURN, render_prompt
from bonsai_edge_train.model import Qwen3
from bonsai_edge_train.robot_commands import Example
from bonsai_edge_train.vocabulary import token_id

MAX_NEW_TOKENS = 200
_BATCH_SIZE = 64


@dataclass(frozen=True)
class Miss:
    """A command that was answered differently from the expected answer."""

    command: str
    expected: str
    answered: str


@dataclass(frozen=True)
class Score:
    """Result on one held-out set."""

    num_examples: int
    misses: list[Miss]

    @property
    def exact_match(self) -> float:
        """Share of answers that equal the expected text exactly."""
        return 1 - len(self.misses) / self.num_examples

    @property
    def valid_json(self) -> float:
        """Share of answers that are JSON of the action schema."""
        return 1 - sum(not is_valid_answer(miss.answered) for miss in self.misses) / self.num_examples


def answer_greedily(model: Qwen3, tokenizer: Tokenizer, commands: list[str], system: str | None = None) -> list[str]:
    """Decode the most likely answer of each command, all at once and without a KV cache."""
    sequences: list[list[int]] = [tokenizer.encode(render_prompt(command, system)).ids for command in commands]
    prompt_lens = [len(sequence) for sequence in sequences]
    end_id = token_id(tokenizer, END_OF_TURN)
    open_rows = list(range(len(sequences)))
    for _ in range(MAX_NEW_TOKENS):
        if not open_rows:
            break
        # Padding at the end is harmless: attention is causal.
        token_ids, _ = pad([(sequences[row], []) for row in open_rows], end_id)
        last = torch.tensor([len(sequences[row]) - 1 for row in open_rows])
        with torch.inference_mode():
            next_ids = model(token_ids)[torch.arange(len(open_rows)), last].argmax(dim=-1).tolist()
        for row, next_id in zip(open_rows, next_ids, strict=True):
            sequences[row].append(next_id)
        open_rows = [row for row in open_rows if sequences[row][-1] != end_id]
    answers = (sequence[prompt_len:] for sequence, prompt_len in zip(sequences, prompt_lens, strict=True))
    return [tokenizer.decode(answer, skip_special_tokens=False).removesuffix(END_OF_TURN) for answer in answers]


def _gives_expected_tokens(model: Qwen3, tokenizer: Tokenizer, examples: list[Example]) -> list[bool]:
    """Tell for each example whether greedy decoding gives the tokens of its answer, in one forward pass.

    It does if and only if each of them is the most likely one after the expected tokens before it.
    """
    conversations = [encode_conversation(tokenizer, [example], None) for example in examples]
    token_ids, weights = pad(conversations, token_id(tokenizer, END_OF_TEXT))
    with torch.inference_mode():
        predicted = model(token_ids)[:, :-1].argmax(dim=-1)
    is_answer = weights[:, 1:] == 1.0
    return [bool(row) for row in ((predicted == token_ids[:, 1:]) | ~is_answer).all(dim=1)]


def evaluate(model: Qwen3, tokenizer: Tokenizer, examples: list[Example]) -> Score:
    """Score greedy answers, in float32; only what differs from the expected tokens is decoded token by token."""
    misses: list[Miss] = []
    for start in range(0, len(examples), _BATCH_SIZE):
        batch = examples[start : start + _BATCH_SIZE]
        matches = _gives_expected_tokens(model, tokenizer, batch)
        doubtful = [example for example, is_match in zip(batch, matches, strict=True) if not is_match]
        answers = answer_greedily(model, tokenizer, [example.command for example in doubtful])
        for example, answer in zip(doubtful, answers, strict=True):
            if answer != example.answer:  # the same text may be spelled with other tokens
                misses.append(Miss(example.command, example.answer, answer))
    return Score(len(examples), misses)
