"""`bonsai-edge chat`: a conversation in the terminal."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from bonsai_edge.cli.answer import describe_model, show_answer
from bonsai_edge.cli.kept_conversation import KeptConversation
from bonsai_edge.cli.options import (
    LoadingOptions,
    generation_options,
    json_option,
    loading_options,
    model_option,
    session_option,
    to_generation_options,
)
from bonsai_edge.cli.terminal import echo_error
from bonsai_edge.errors import ContextOverflowError, InvalidRequestError, SessionError
from bonsai_edge.generation import GenerationOptions, GenerationResult, Message

if TYPE_CHECKING:
    from bonsai_edge.model import Model

_HELP = "Ctrl-C stops an answer. /save NAME keeps the conversation, /reset forgets it. /exit or Ctrl-D leaves."


@click.command()
@model_option
@session_option
@click.option("--system", metavar="TEXT", help="What the model is told before the conversation.")
@generation_options
@loading_options
@json_option
def chat(
    model: str, session: str | None, system: str | None, loading: LoadingOptions, as_json: bool, **sampling: Any
) -> None:
    """Talk with a model in the terminal.

    The model sees the whole conversation at every turn. When it no longer fits into the context, nothing is cut unless
    --on-overflow says so: you are told, and /reset starts anew. Ctrl-C stops an answer, not the program; /exit or
    Ctrl-D leaves. With --session the conversation goes on where it ended, and is kept at the end and at /save;
    /save NAME keeps it under another name. With --json every answer is one line of JSON.

    \b
    Example:
      bonsai-edge chat
      bonsai-edge chat --session kitchen
      bonsai-edge chat --model Bonsai-1.7B-Q1_0.gguf --system "Answer in one sentence." --context 8192
    """
    options = to_generation_options(sampling)
    from bonsai_edge.runtime import load

    with load(model, **loading) as loaded:
        click.echo(f"{describe_model(loaded)}. {_HELP}", err=True)
        kept = KeptConversation(loaded, session)
        conversation = Conversation(loaded, system, options, kept.messages, as_json=as_json)
        try:
            _talk(conversation, kept)
        finally:
            kept.save_changes(conversation.messages)


def _talk(conversation: Conversation, kept: KeptConversation) -> None:
    for line in _read_lines():
        command, _, argument = line.partition(" ")
        if line == "/exit":
            return
        if line == "/reset":
            conversation.reset()
            click.echo("The conversation is forgotten.", err=True)
        elif command == "/save":
            conversation.save(kept, argument.strip() or None)
        else:
            conversation.answer(line)


class Conversation:
    """The turns so far, and the model that continues them."""

    def __init__(
        self,
        model: Model,
        system: str | None,
        options: GenerationOptions,
        earlier: Sequence[Message] = (),
        *,
        as_json: bool,
    ) -> None:
        self._model = model
        self._beginning = [message for message in earlier[:1] if message.role == "system"]
        self._turns = list(earlier[len(self._beginning) :])
        if system is not None and not earlier:
            self._beginning = [Message("system", system)]
        elif system is not None and self._beginning != [Message("system", system)]:
            raise InvalidRequestError(
                "The session began with another system message, or none.", "Leave out --system, or begin a new session."
            )
        self._options = options
        self._as_json = as_json

    @property
    def messages(self) -> list[Message]:
        """All messages, none if nothing was said."""
        return [*self._beginning, *self._turns] if self._turns else []

    def save(self, kept: KeptConversation, name: str | None) -> None:
        """Keep the conversation, under another name if one is given; what prevents it is told, and the talk goes on."""
        try:
            kept.save(self.messages, name)
        except (SessionError, InvalidRequestError) as exc:
            echo_error(exc, as_json=self._as_json)

    def reset(self) -> None:
        """Forget all turns but the system's."""
        self._turns = []

    def answer(self, text: str) -> None:
        """Answer one message and remember both; a message that does not fit is refused and forgotten."""
        question = Message("user", text)
        with _interrupt_cancels() as cancelled:
            try:
                events = self._model.stream([*self._beginning, *self._turns, question], self._options, cancelled)
            except (ContextOverflowError, InvalidRequestError) as exc:
                echo_error(exc, as_json=self._as_json)
                if isinstance(exc, ContextOverflowError):
                    click.echo("/reset forgets the conversation and makes room.", err=True)
                return
            result = show_answer(events, as_json=self._as_json)
        self._turns += [question, Message("assistant", result.text)]
        self._explain_end(result)

    def _explain_end(self, result: GenerationResult) -> None:
        if result.context_full:
            click.echo("/reset forgets the conversation and makes room.", err=True)
        elif result.finish_reason == "length":
            click.echo(f"The answer ended at --max-tokens {result.usage.completion_tokens}.", err=True)


def _read_lines() -> Iterator[str]:
    """Yield what is typed, with line editing and history on a terminal, until the input ends; skip empty lines."""
    prompt = ""
    if sys.stdin.isatty() and sys.stdout.isatty():
        prompt = "> "
        with contextlib.suppress(ImportError):  # some builds of Python lack it; typing works without
            import readline  # noqa: F401  (being imported is what makes `input` edit lines)
    while True:
        try:
            line = input(prompt).strip()
        except EOFError:
            click.echo(err=True)
            return
        except KeyboardInterrupt:
            click.echo(f"\n{_HELP}", err=True)
            continue
        except UnicodeDecodeError as exc:
            raise InvalidRequestError(f"The input is not valid UTF-8: {exc}.", "Convert it to UTF-8.") from exc
        if line:
            yield line


@contextlib.contextmanager
def _interrupt_cancels() -> Iterator[Callable[[], bool]]:
    """Let Ctrl-C set a flag instead of raising, so that the answer so far is kept; yield how to ask for the flag."""
    interrupted = threading.Event()

    def on_interrupt(signal_number: int, frame: FrameType | None) -> None:
        interrupted.set()

    previous = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield interrupted.is_set
    finally:
        signal.signal(signal.SIGINT, previous)
