"""`bonsai-edge ask`: one prompt, answered by a running server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bonsai_edge.cli.answer import show_answer
from bonsai_edge.cli.options import client_keys_option, connect_option, generation_options, json_option
from bonsai_edge.generation import Message


@click.command()
@click.argument("prompt")
@connect_option
@client_keys_option
@click.option("--raw", is_flag=True, help="Give the model the text as it is, without the chat template.")
@click.option(
    "--priority",
    type=click.Choice(["background", "normal", "interactive", "safety"]),
    default="normal",
    show_default=True,
    help="How urgent it is beside other requests.",
)
@click.option(
    "--deadline",
    "deadline_s",
    type=float,
    metavar="SECONDS",
    help="Give up so long after the request.  [default: never]",
)
@generation_options
@json_option
def ask(
    prompt: str,
    endpoint: str,
    keys_directory: Path | None,
    raw: bool,
    priority: str,
    deadline_s: float | None,
    as_json: bool,
    **sampling: Any,
) -> None:
    """Send one prompt to a running server and stream the answer.

    The text goes to standard output, figures to standard error. Ctrl-C cancels the request.

    \b
    Example:
      bonsai-edge ask "pick up the red cube"
      bonsai-edge ask "dock now" --connect ipc:///run/robot/bonsai.sock --temperature 0 --json
      bonsai-edge ask "where are you?" --priority interactive --deadline 5
      bonsai-edge ask "dock now" --connect tcp://robot.local:5571 --keys keys
    """
    from bonsai_edge.rpc.client import Client

    options = {name: value for name, value in sampling.items() if value is not None}
    options |= {"priority": priority, "deadline_s": deadline_s}
    with Client(endpoint, keys=keys_directory) as client:
        events = client.generate(prompt, **options) if raw else client.chat([Message("user", prompt)], **options)
        show_answer(events, as_json=as_json)
