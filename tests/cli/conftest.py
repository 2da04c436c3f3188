from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bonsai_edge.errors import ContextOverflowError, SessionError
from bonsai_edge.generation import (
    Dropped,
    GenerationEvent,
    GenerationOptions,
    GenerationResult,
    Message,
    TextChunk,
    Timings,
    Usage,
)
from bonsai_edge.kv_cache import KVType
from bonsai_edge.sessions.model_sessions import RestoredSession
from bonsai_edge.sessions.opening import Miss
from bonsai_edge.sessions.store import SavedSession
from gguf_files import write_random_model
from streamed_generation import StreamedGeneration


class FakeModel:
    """Answers with fixed pieces of text, one token each, and remembers what it was asked and how it was loaded."""

    name = "fake"
    backend_name = "fake-backend"
    backend_note: str | None = None
    context = 100
    kv_type = KVType.F16
    threads = 1

    def __init__(self) -> None:
        self.pieces = ["Grüße, ", "robot"]
        self.loaded_with: dict[str, Any] = {}
        self.prompts: list[str | list[Message]] = []
        self.options: list[GenerationOptions] = []
        self.prompt_tokens = 5
        self.cached_tokens = 0
        self.before_piece: Callable[[int], None] = lambda index: None
        self.dropped: Dropped | None = None
        self.is_closed = False
        self.restored = RestoredSession(0, miss=Miss("absent", "there is none of that name"))
        self.saved: list[tuple[str, list[Message]]] = []
        self.save_error: SessionError | None = None

    def __enter__(self) -> FakeModel:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.is_closed = True

    def restore_session(self, name: str) -> RestoredSession:
        return self.restored

    def save_session(self, name: str, prompt: Sequence[Message]) -> SavedSession:
        if self.save_error is not None:
            raise self.save_error
        self.saved.append((name, list(prompt)))
        return SavedSession(name, 40, 1234)

    def stream(
        self,
        prompt: str | Sequence[Message],
        options: GenerationOptions,
        cancelled: Callable[[], bool] | None = None,
    ) -> Iterator[GenerationEvent]:
        if self.prompt_tokens >= self.context:
            raise ContextOverflowError(
                f"The prompt has {self.prompt_tokens} tokens, the context {self.context}.",
                "Cut.",
                prompt_tokens=self.prompt_tokens,
                limit=self.context,
                max_tokens=options.max_tokens or 1,
            )
        self.prompts.append(prompt if isinstance(prompt, str) else list(prompt))
        self.options.append(options)
        return self._events(options, cancelled or (lambda: False))

    def begin(
        self,
        prompt: str | Sequence[Message],
        options: GenerationOptions,
        cancelled: Callable[[], bool] | None = None,
    ) -> StreamedGeneration:
        return StreamedGeneration(self.stream(prompt, options, cancelled))

    def advance(self, generations: Sequence[StreamedGeneration]) -> list[list[GenerationEvent]]:
        return [generation.step() for generation in generations]

    def _events(self, options: GenerationOptions, cancelled: Callable[[], bool]) -> Iterator[GenerationEvent]:
        said: list[str] = []
        room = options.max_tokens or self.context - self.prompt_tokens
        finish_reason = "length" if room <= len(self.pieces) else "stop"
        for index, piece in enumerate(self.pieces[:room]):
            self.before_piece(index)
            if cancelled():
                finish_reason = "cancelled"
                break
            said.append(piece)
            yield TextChunk(index=index, text=piece, token_ids=[index])
        yield GenerationResult(
            text="".join(said),
            token_ids=list(range(len(said))),
            finish_reason=finish_reason,  # type: ignore[arg-type]
            usage=Usage(self.prompt_tokens, len(said), self.cached_tokens),
            timings=Timings(
                load_s=0.25, prefill_s=0.5, decode_s=0.1, prefill_tokens_per_s=10.0, decode_tokens_per_s=None
            ),
            backend=self.backend_name,
            model=self.name,
            seed=7,
            context_full=finish_reason == "length" and options.max_tokens is None,
            dropped=self.dropped,
            backend_note=self.backend_note,
        )


@pytest.fixture
def fake_model(monkeypatch: pytest.MonkeyPatch) -> FakeModel:
    """A model that every command loads instead of a file."""
    model = FakeModel()

    def load(path_or_name: str, **keywords: Any) -> FakeModel:
        model.loaded_with = {"model": path_or_name, **keywords}
        return model

    monkeypatch.setattr("bonsai_edge.runtime.load", load)
    return model


@pytest.fixture
def cli() -> CliRunner:
    return CliRunner(catch_exceptions=False)


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file of two layers with random weights."""
    return write_random_model(tmp_path_factory.mktemp("models") / "random.gguf", seed=3)
