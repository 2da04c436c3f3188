"""`bonsai-edge verify`: does this model, on this machine, say what it must."""

from __future__ import annotations

from dataclasses import dataclass

import click

import bonsai_edge
from bonsai_edge.cli.options import backend_option, json_option, threads_option
from bonsai_edge.cli.terminal import echo_json, one_line
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.model_store import resolve_model_path
from bonsai_edge_hub.catalogue import PublishedModel, recognize
from bonsai_edge_hub.known_answers import CheckResult, check_answers


@dataclass(frozen=True)
class VerifyReport:
    """What `verify` prints."""

    model: str
    path: str
    backend: str
    passed: bool
    checks: list[CheckResult]


@click.command()
@click.argument("model")
@backend_option
@threads_option
@json_option
@click.pass_context
def verify(ctx: click.Context, model: str, backend: str, threads: int | None, as_json: bool) -> None:
    """Check that a model gives the published answers.

    MODEL is a Bonsai file or its name; which one it is, its shape tells. Its tokenizer and its greedy continuation of
    a known prompt are compared, token by token, with what is published for it. Exits with 1 if one differs.

    \b
    Example:
      bonsai-edge verify bonsai-1.7b
      bonsai-edge verify Bonsai-8B-Q1_0.gguf --backend cpu --json
    """
    path = resolve_model_path(model)
    published = recognize(open_checkpoint(path).spec)
    with bonsai_edge.load(path, backend=backend, threads=threads, context=_context_for(published)) as loaded:
        checks = check_answers(loaded, published.known_answers)
        backend_name = loaded.backend_name
    passed = all(check.passed for check in checks)
    report = VerifyReport(published.name, str(path), backend_name, passed, checks)
    if as_json:
        echo_json(report)
    else:
        _print_report(report)
    if not passed:
        ctx.exit(1)


def _context_for(published: PublishedModel) -> int:
    return max(len(answer.prompt_ids) + len(answer.answer_ids) for answer in published.known_answers)


def _print_report(report: VerifyReport) -> None:
    click.echo(one_line(f"{report.path} is {report.model}, computed by {report.backend}"))
    for check in report.checks:
        if check.passed:
            click.echo(f"pass  {check.check}: {check.num_ids} of {check.num_ids} tokens")
        else:
            click.echo(
                f"FAIL  {check.check}: differs at position {check.first_difference} of {check.num_ids}: "
                f"expected {_show(check.expected_id)}, got {_show(check.actual_id)}"
            )


def _show(token_id: int | None) -> str:
    return "nothing" if token_id is None else f"token {token_id}"
