"""What the server needs of a model: `bonsai_edge.model.Model` has it, and tests bring their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from bonsai_edge.errors import BonsaiError
from bonsai_edge.generation import GenerationEvent, GenerationOptions, Message


class ServedTokenizer(Protocol):
    """What the server needs of a tokenizer; called by other threads than the one that computes."""

    def encode(self, text: str, special: bool = False) -> list[int]:
        """Return the token ids of a text."""

    def decode(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids."""


class ServedSpec(Protocol):
    """What the server tells about the shape of a model."""

    @property
    def architecture(self) -> str: ...  # noqa: D102
    @property
    def vocab_size(self) -> int: ...  # noqa: D102
    @property
    def num_layers(self) -> int: ...  # noqa: D102
    @property
    def hidden_size(self) -> int: ...  # noqa: D102


class ServedGeneration(Protocol):
    """One answer under way, as `bonsai_edge.text_generation.TextGeneration` is."""

    @property
    def is_finished(self) -> bool:
        """Whether its result is among the events that it has brought."""

    @property
    def can_be_suspended(self) -> bool:
        """Whether it may make room for another and go on later."""

    @property
    def num_computed(self) -> int:
        """Tokens computed for it so far."""

    @property
    def prefill_progress(self) -> tuple[int, int]:
        """How many tokens of the prompt are computed, and how many it has; asked by another thread."""

    def open(self) -> None:
        """Take the memory that it needs. Raises KVCacheFullError while others have it."""

    def suspend(self) -> None:
        """Give its memory to others, until it is opened again."""

    def close(self) -> None:
        """Give its memory back for good."""


class ServedModel(Protocol):
    """A model, `begin` and its tokenizer called by other threads than the rest."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def backend_name(self) -> str: ...  # noqa: D102
    @property
    def backend_note(self) -> str | None: ...  # noqa: D102
    @property
    def context(self) -> int: ...  # noqa: D102
    @property
    def threads(self) -> int: ...  # noqa: D102
    @property
    def load_s(self) -> float: ...  # noqa: D102
    @property
    def spec(self) -> ServedSpec: ...  # noqa: D102
    @property
    def tokenizer(self) -> ServedTokenizer: ...  # noqa: D102

    def begin(
        self, prompt: str | Sequence[Message], options: GenerationOptions, cancelled: Callable[[], bool] | None = None
    ) -> ServedGeneration:
        """Check and tokenize a prompt; `cancelled` is asked before every step. Raises BonsaiError."""

    def advance(self, generations: Sequence[Any]) -> Sequence[list[GenerationEvent] | BonsaiError]:
        """Bring open generations that this model has begun one step on, and return the events of each, or its error."""

    def close(self) -> None:
        """Release what generations need; the tokenizer goes on."""
