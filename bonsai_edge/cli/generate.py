"""`bonsai-edge generate`: one prompt, one answer."""

from __future__ import annotations

import sys
from typing import Any

import click

from bonsai_edge.cli.answer import show_answer
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
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.generation import Message


@click.command()
@click.argument("prompt", required=False)
@model_option
@click.option("--raw", is_flag=True, help="Give the model the text as it is, without the chat template.")
@session_option
@generation_options
@loading_options
@json_option
def generate(
    prompt: str | None,
    model: str,
    raw: bool,
    session: str | None,
    loading: LoadingOptions,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Answer one prompt and stream the text.

    PROMPT is read from standard input if it is left out or '-', up to the last line end. The text goes to standard
    output, figures to standard error. With --session it is the next turn of a conversation that is kept on disk.

    \b
    Example:
      bonsai-edge generate "pick up the red cube"
      echo "dock now" | bonsai-edge generate --temperature 0 --json
      bonsai-edge generate --session kitchen "and now the blue one"
      bonsai-edge generate --model Bonsai-1.7B-Q1_0.gguf --raw "Once upon a time" --max-tokens 64
    """
    if raw and session is not None:
        raise click.UsageError("--session keeps a conversation, and --raw has none.")
    options = to_generation_options(sampling)
    text = _read_prompt(prompt)
    from bonsai_edge.runtime import load

    with load(model, **loading) as loaded:
        kept = KeptConversation(loaded, session)
        messages = [*kept.messages, Message("user", text)]
        events = loaded.stream(text if raw else messages, options)
        result = show_answer(events, as_json=as_json, threads=loaded.threads)
        kept.save_changes([*messages, Message("assistant", result.text)])


def _read_prompt(argument: str | None) -> str:
    """Return the prompt from the command line or standard input; raises UsageError if there is none."""
    if argument is None and sys.stdin.isatty():
        raise click.UsageError("A prompt is missing: give PROMPT, or pipe it to standard input.")
    text = _read_standard_input() if argument in (None, "-") else argument
    if not text:
        raise click.UsageError("The prompt is empty.")
    return text


def _read_standard_input() -> str:
    try:
        return sys.stdin.buffer.read().decode().removesuffix("\n")
    except UnicodeDecodeError as exc:
        raise InvalidRequestError(f"The prompt is not valid UTF-8: {exc}.", "Convert it to UTF-8.") from exc
