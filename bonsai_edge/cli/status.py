"""`bonsai-edge status`: how a running server is doing."""

from __future__ import annotations

from pathlib import Path

import click

from bonsai_edge.cli.options import client_keys_option, connect_option, json_option


@click.command()
@connect_option
@client_keys_option
@json_option
@click.pass_context
def status(ctx: click.Context, endpoint: str, keys_directory: Path | None, as_json: bool) -> None:
    """Say how a running server is doing; the exit code is 0 if it takes generations now, else 1.

    \b
    Example:
      bonsai-edge status
      bonsai-edge status --connect ipc:///run/robot/bonsai.sock --json
    """
    from bonsai_edge.cli.server_status import status_lines
    from bonsai_edge.cli.terminal import echo_json, one_line
    from bonsai_edge.rpc.client import Client

    with Client(endpoint, keys=keys_directory) as client:
        answer = client.status()
    if as_json:
        echo_json(answer)
    else:
        for line in status_lines(answer):
            click.echo(one_line(line))
    if not answer.ready:
        ctx.exit(1)
