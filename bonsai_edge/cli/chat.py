"""`bonsai-edge chat`: a conversation in the terminal."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from bonsai_edge.cli.answer import describe_model, show_answer
from bonsai_edge.cli.options import (
    LoadingOptions,
    generation_options,
    json_option,
    loading_options,
    model_option,
    to_generation_options,
)
from bonsai_edge.cli.terminal import echo_error
from bonsai_edge.errors import ContextOverflowError, InvalidRequestError
from bonsai_edge.generation import GenerationOptions, GenerationResult, Message

if TYPE_CHECKING:
    from bonsai_edge.model import Model

_HELP = "Ctrl-C stops an answer. /reset forgets the conversation. /exit or Ctrl-D leaves."


@click.command()
@model_option
@click.option("--system", metavar="TEXT", help="What the model is told before the conversation.")
@generation_options
@loading_options
@json_option
def chat(model: str, system: str | None, loading: LoadingOptions, as_json: bool, **sampling: Any) -> None:
    """Talk with a model in the terminal.

    The model sees the whole conversation at every turn. When it no longer fits into the context, nothing is cut: you
    are told, and /reset starts anew. Ctrl-C stops an answer, not the program; /exit or Ctrl-D leaves. With --json
    every answer is one line of JSON.

    \b
    Example:
      bonsai-edge chat
      bonsai-edge chat --model Bonsai-1.7B-Q1_0.gguf --system "Answer in one sentence." --context 8192
    """
    options = to_generation_options(sampling)
    from bonsai_edge.runtime import load

    with load(model, **loading) as loaded:
        click.echo(f"{describe_model(loaded)}. {_HELP}", err=True)
        conversation = Conversation(loaded, system, options, as_json=as_json)
        for line in _read_lines():
            if line == "/exit":
                return
            if line == "/reset":
                conversation.reset()
                click.echo("The conversation is forgotten.", err=True)
            else:
                conversation.answer(line)


class Conversation:
    """The turns so far, and the model that continues them."""

    def __init__(self, model: Model, system: str | None, options: GenerationOptions, *, as_json: bool) -> None:
        self._model = model
        self._beginning = [] if system is None else [Message("system", system)]
        self._turns: list[Message] = []
        self._options = options
        self._as_json = as_json

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
        if result.finish_reason != "length":
            return
        used, context = result.usage.prompt_tokens + result.usage.completion_tokens, self._model.context
        if used >= context:
            click.echo(f"The context is full: {used} of {context} tokens. /reset makes room.", err=True)
        else:
            click.echo(f"The answer ended at --max-tokens {self._options.max_tokens}.", err=True)


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
