"""Streams of conversations for training: drawn from the robot-command generator, or read from JSON lines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import Literal

import msgspec

from bonsai_edge_train.config import DataConfig
from bonsai_edge_train.errors import TrainingDataError
from bonsai_edge_train.robot_commands import splits

SYSTEM_PROMPTS = (
    "You are a helpful robot.",
    "You are a robot.",
    "Answer with JSON.",
    "You turn commands into actions.",
    "You are seedling, a small model on a robot. Answer with JSON actions only.",
)


class Message(msgspec.Struct, frozen=True):
    """One turn in the usual chat format."""

    role: Literal["system", "user", "assistant"]
    content: str


class Conversation(msgspec.Struct, frozen=True):
    """Messages in order; the answers are those of the role `assistant`."""

    messages: list[Message]


class Source(ABC):
    """Conversations without end, drawn one after the other; `num_drawn` units lead to the same place again."""

    num_drawn: int

    @abstractmethod
    def draw(self, rng: Random) -> Conversation:
        """Draw the next conversation; what is random about it comes from `rng`."""


class RobotCommandSource(Source):
    """Generated commands, now and then several in a conversation or after a system prompt."""

    def __init__(self, config: DataConfig, seed: int, skip: int = 0) -> None:
        self._config = config
        self._examples = islice(splits.training_examples(seed), skip, None)
        self.num_drawn = skip

    def draw(self, rng: Random) -> Conversation:
        """Draw one to three independent commands."""
        num_turns = rng.choice((2, 2, 3)) if rng.random() < self._config.multi_turn_share else 1
        messages: list[Message] = []
        if rng.random() < self._config.system_prompt_share:
            messages.append(Message("system", rng.choice(SYSTEM_PROMPTS)))
        for example in islice(self._examples, num_turns):
            messages += (Message("user", example.command), Message("assistant", example.answer))
        self.num_drawn += num_turns
        return Conversation(messages)


class FileSource(Source):
    """The conversations of a file, each epoch in another order."""

    def __init__(self, conversations: list[Conversation], seed: int, skip: int = 0) -> None:
        self._conversations = islice(_shuffled_epochs(conversations, seed), skip, None)
        self.num_drawn = skip

    def draw(self, rng: Random) -> Conversation:
        """Draw the next one of the epoch; nothing about it is random."""
        self.num_drawn += 1
        return next(self._conversations)


def _shuffled_epochs(conversations: list[Conversation], seed: int) -> Iterator[Conversation]:
    for epoch in count():
        yield from Random(f"{seed}/{epoch}").sample(conversations, len(conversations))


def open_source(config: DataConfig, seed: int, skip: int = 0) -> Source:
    """Open the training data of a configuration after the first `skip` units."""
    if config.train is not None:
        return FileSource(read_conversations(Path(config.train)), seed, skip)
    return RobotCommandSource(config, seed, skip)


def read_conversations(path: Path) -> list[Conversation]:
    """Read JSON lines such as {"messages": [{"role": "user", "content": "stop"}, …]}; raises TrainingDataError."""
    try:
        lines = path.read_bytes().splitlines()
    except OSError as exc:
        raise TrainingDataError(f"{path} cannot be read: {exc.strerror}.", "Check the path in `[data]`.") from exc
    decoder = msgspec.json.Decoder(Conversation)
    conversations: list[Conversation] = []
    for number, line in enumerate(lines, start=1):
        try:
            conversation = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise TrainingDataError(
                f"{path}, line {number}: {exc}.", 'Write one {"messages": [{"role", "content"}, …]} in each line.'
            ) from exc
        if not conversation.messages or conversation.messages[-1].role != "assistant":
            raise TrainingDataError(
                f"{path}, line {number}: the last message is not of the role `assistant`.",
                "Remove what has no answer, or add the answer.",
            )
        conversations.append(conversation)
    if not conversations:
        raise TrainingDataError(f"{path} holds no conversation.", "Give a file with at least one line.")
    return conversations
