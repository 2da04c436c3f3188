"""Shows one answer while it is made: text or JSON on standard output, figures on standard error."""

from __future__ import annotations

from collections.abc import Iterable

import click

from bonsai_edge.cli.terminal import echo_answer, echo_json
from bonsai_edge.generation import GenerationEvent, GenerationResult


def show_answer(events: Iterable[GenerationEvent], *, as_json: bool) -> GenerationResult:
    """Print the text as it comes and then its figures, or only the result as one JSON object; return the result."""
    for event in events:
        if isinstance(event, GenerationResult):
            if as_json:
                echo_json(event)
            else:
                click.echo()
                click.echo(figures(event), err=True)
            return event
        if not as_json:
            echo_answer(event.text)
    raise AssertionError("a generation ends with its result")


def figures(result: GenerationResult) -> str:
    """Say in one line how much was read and written, how fast, and why it ended."""
    usage, timings = result.usage, result.timings
    return (
        f"[prompt {usage.prompt_tokens} tokens{_speed(timings.prefill_tokens_per_s)}; "
        f"answer {usage.completion_tokens} tokens{_speed(timings.decode_tokens_per_s)}; {result.finish_reason}; "
        f"{result.model} on {result.backend}, loaded in {timings.load_s:.2f} s]"
    )


def _speed(tokens_per_s: float | None) -> str:
    return "" if tokens_per_s is None else f" at {tokens_per_s:.1f}/s"
