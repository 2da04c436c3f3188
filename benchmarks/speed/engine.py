"""What both sides of the comparison offer, so that the same cases run on either."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from speed.case import Case


class Engine(ABC):
    """A model loaded with a number of threads."""

    @abstractmethod
    def describe(self) -> str:
        """Say what computes: the instruction set, or what the library says of itself."""

    @abstractmethod
    def prepare(self, cases: Sequence[Case]) -> None:
        """Fill the contexts that the cases need, once, and warm up: none of this is timed."""

    @abstractmethod
    def run(self, case: Case) -> float:
        """Run a case that was prepared, leaving the context as it was; return the seconds that it took."""


def random_token_ids(num_tokens: int, vocab_size: int) -> list[int]:
    """Return the same token ids every time."""
    token_ids: list[int] = np.random.default_rng(0).integers(vocab_size, size=num_tokens).tolist()
    return token_ids
