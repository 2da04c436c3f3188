"""The development split: what a run is measured on while it trains, never trained on and never reported as a result."""

# mypy: disallow-untyped-decorators=False
# (PyTorch is an optional extra; without it mypy sees its decorators as Any.)

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from bonsai_edge_train.batches import Batch, check_lengths, encode_conversation, pad, split_by_length
from bonsai_edge_train.chat import END_OF_TEXT, open_turn, render_turn
from bonsai_edge_train.config import TrainingConfig
from bonsai_edge_train.conversations import Conversation, Message, read_conversations
from bonsai_edge_train.decoding import answer_or_confirm
from bonsai_edge_train.evaluate import evaluate
from bonsai_edge_train.loss import find_targets, next_token_loss
from bonsai_edge_train.model import Qwen3
from bonsai_edge_train.robot_commands import splits
from bonsai_edge_train.robot_commands.scoring import Example
from bonsai_edge_train.run_log import Evaluation
from bonsai_edge_train.vocabulary import token_id


class DevelopmentSet:
    """The first `training.development_examples` of the split: generated commands, or conversations of a file."""

    def __init__(self, config: TrainingConfig, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._examples: Sequence[Example] = []
        num_examples = config.training.development_examples
        if config.data.development is not None:
            self._conversations = read_conversations(Path(config.data.development))[:num_examples]
        else:
            self._examples = splits.development_examples(num_examples)
            self._conversations = [
                Conversation([Message("user", example.command), Message("assistant", example.answer)])
                for example in self._examples
            ]
        encoded = [encode_conversation(tokenizer, conversation) for conversation in self._conversations]
        check_lengths(encoded, config.model.context_length)
        pad_id = token_id(tokenizer, END_OF_TEXT)
        self._batches = [pad(batch, pad_id) for batch in split_by_length(encoded, config.training.tokens_per_batch)]

    def evaluate(self, model: Qwen3) -> Evaluation:
        """Measure in float32 on the CPU; robot commands by their actions, other answers by their text."""
        frozen = model.frozen()
        loss = _mean_loss(frozen, self._batches)
        if self._examples:
            total = evaluate(frozen, self._tokenizer, self._examples).total
            return Evaluation(loss, total.exact_match, total.examples, total.valid_share)
        prompts, expected = zip(*map(_split_last_answer, self._conversations), strict=True)
        answers = answer_or_confirm(frozen, self._tokenizer, list(prompts), list(expected))
        num_exact = sum(answer == text for answer, text in zip(answers, expected, strict=True))
        return Evaluation(loss, num_exact / len(expected), len(expected))


def _split_last_answer(conversation: Conversation) -> tuple[str, str]:
    *before, last = conversation.messages
    turns = "".join(render_turn(message.role, message.content) for message in before)
    return turns + open_turn(last.role), last.content


@torch.inference_mode()
def _mean_loss(model: Qwen3, batches: Sequence[Batch]) -> float:
    """Return the mean cross-entropy per answer token."""
    total, num_tokens = 0.0, 0
    for token_ids, weights in batches:
        targets = find_targets(token_ids, weights)
        total += float(next_token_loss(model(token_ids, rows=targets.rows), targets))
        num_tokens += int(targets.weights.sum())
    return total / num_tokens
