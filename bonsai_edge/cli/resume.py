"""`bonsai-edge resume`: the end of `bonsai-edge halt`."""

from __future__ import annotations

from pathlib import Path

import click

from bonsai_edge.cli.options import client_keys_option, connect_option, json_option


@click.command()
@connect_option
@client_keys_option
@json_option
def resume(endpoint: str, keys_directory: Path | None, as_json: bool) -> None:
    """Let a halted server generate again.

    \b
    Example:
      bonsai-edge resume
    """
    from bonsai_edge.cli.terminal import echo_json
    from bonsai_edge.rpc.client import Client

    with Client(endpoint, keys=keys_directory) as client:
        client.resume()
    if as_json:
        echo_json({"halted": False})
    else:
        click.echo("resumed")
