"""Shows one answer while it is made: text or JSON on standard output, figures on standard error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.terminal import echo_answer, echo_json
from bonsai_edge.generation import GenerationEvent, GenerationResult, Usage

if TYPE_CHECKING:
    from bonsai_edge.model import Model
    from bonsai_edge.rpc.served_model import ServedModel


def describe_model(model: Model | ServedModel) -> str:
    """Say in one line what was loaded and what computes it."""
    return f"{model.name} on {model.backend_name}{_team(model.threads)}, context {model.context} tokens"


def show_answer(events: Iterable[GenerationEvent], *, as_json: bool, threads: int | None = None) -> GenerationResult:
    """Print the text as it comes and then its figures, or only the result as one JSON object; return the result.

    `threads` are told with the figures where they are known.
    """
    for event in events:
        if isinstance(event, GenerationResult):
            if as_json:
                echo_json(event)
            else:
                click.echo()
                click.echo(figures(event, threads), err=True)
                for note in _notes(event):
                    click.echo(note, err=True)
            return event
        if not as_json:
            echo_answer(event.text)
    raise AssertionError("a generation ends with its result")


def figures(result: GenerationResult, threads: int | None = None) -> str:
    """Say in one line how much was read and written, how fast, and why it ended."""
    usage, timings = result.usage, result.timings
    return (
        f"[prompt {usage.prompt_tokens} tokens{_cached(usage)}{_speed(timings.prefill_tokens_per_s)}; "
        f"answer {usage.completion_tokens} tokens{_speed(timings.decode_tokens_per_s)}; {result.finish_reason}; "
        f"{result.model} on {result.backend}{_team(threads)}, loaded in {timings.load_s:.2f} s]"
    )


def _notes(result: GenerationResult) -> Iterator[str]:
    """Say what a reader of the answer must not miss: what the model did not read, and why it was cut short."""
    dropped = result.dropped
    if dropped is not None and dropped.shifts:
        yield (
            f"{dropped.policy}: {dropped.tokens} tokens were forgotten on the way, from position "
            f"{dropped.first_position}, in {_counted(dropped.shifts, 'shift')}."
        )
    elif dropped is not None:
        turns = f", {_counted(dropped.turns, 'turn')}" if dropped.turns else ""
        yield (
            f"{dropped.policy}: {dropped.tokens} of {result.usage.prompt_tokens} tokens of the prompt were left out, "
            f"from position {dropped.first_position}{turns}."
        )
    if result.context_full:
        yield "The answer ended because the context is full."


def _cached(usage: Usage) -> str:
    return f" ({usage.cached_tokens} cached)" if usage.cached_tokens else ""


def _speed(tokens_per_s: float | None) -> str:
    return "" if tokens_per_s is None else f" at {tokens_per_s:.1f}/s"


def _team(threads: int | None) -> str:
    return "" if threads is None else f" with {_counted(threads, 'thread')}"


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
