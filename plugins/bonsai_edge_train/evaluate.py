"""Measures how many robot commands a model answers with exactly the expected actions, and with valid JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tokenizers import Tokenizer

from bonsai_edge_train.chat import render_prompt
from bonsai_edge_train.decoding import answer_or_confirm
from bonsai_edge_train.model import Qwen3
from bonsai_edge_train.robot_commands.scoring import Example, Score

_BATCH_SIZE = 128


def evaluate(model: Qwen3, tokenizer: Tokenizer, examples: Sequence[Example]) -> Score:
    """Score greedy answers, computed in float32 on the CPU; a reply beside the actions is not compared."""
    model = model.frozen()
    score = Score()
    for batch in _batches(examples):
        prompts = [render_prompt(example.command) for example in batch]
        answers = answer_or_confirm(model, tokenizer, prompts, [example.answer for example in batch])
        for example, answer in zip(batch, answers, strict=True):
            score.add(example, answer)
    return score


def _batches(examples: Sequence[Example]) -> Iterator[Sequence[Example]]:
    """Split into batches of similar length, so that little is padded."""
    by_length = sorted(examples, key=lambda example: len(example.command))
    for start in range(0, len(by_length), _BATCH_SIZE):
        yield by_length[start : start + _BATCH_SIZE]
