"""Scores answers to robot commands: exactly the expected actions or not, valid JSON of the schema or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from bonsai_edge_train.robot_commands.actions import parse_answer


class Example(Protocol):
    """A command and its expected answer."""

    @property
    def command(self) -> str:
        """What is said to the robot."""

    @property
    def answer(self) -> str:
        """The expected answer as JSON."""

    @property
    def category(self) -> str:
        """The kind of command, for the counts."""


@dataclass(frozen=True)
class Miss:
    """A command that was answered with other actions than the expected ones."""

    command: str
    category: str
    expected: str
    answered: str


@dataclass
class Count:
    """What happened to some examples: right ones have the expected actions, valid ones are JSON of the schema."""

    examples: int = 0
    exact: int = 0
    valid: int = 0

    def add(self, is_exact: bool, is_valid: bool) -> None:
        """Count one example."""
        self.examples += 1
        self.exact += is_exact
        self.valid += is_valid

    @property
    def exact_match(self) -> float:
        """Share of answers with exactly the expected actions."""
        return self.exact / self.examples

    @property
    def valid_share(self) -> float:
        """Share of answers that are JSON of the action schema."""
        return self.valid / self.examples


@dataclass
class Score:
    """Result on one set of examples."""

    total: Count = field(default_factory=Count)
    categories: dict[str, Count] = field(default_factory=dict)
    misses: list[Miss] = field(default_factory=list)

    def add(self, example: Example, answer: str) -> None:
        """Compare the actions of an answer with the expected ones; a reply beside them does not count."""
        actions = parse_answer(answer)
        is_exact = actions is not None and actions == parse_answer(example.answer)
        for count in (self.total, self.categories.setdefault(example.category, Count())):
            count.add(is_exact, actions is not None)
        if not is_exact:
            self.misses.append(Miss(example.command, example.category, example.answer, answer))
