"""`bonsai-edge halt`: no generation from now on."""

from __future__ import annotations

from pathlib import Path

import click

from bonsai_edge.cli.options import client_keys_option, connect_option, json_option


@click.command()
@click.option("--reason", default="", metavar="TEXT", help="Up to 64 characters, which `status` shows.")
@connect_option
@client_keys_option
@json_option
def halt(reason: str, endpoint: str, keys_directory: Path | None, as_json: bool) -> None:
    """Stop all generation of a server now and have it refuse more until `bonsai-edge resume`.

    The control thread of the server obeys at once, even if its engine hangs. It stays halted when it restarts itself.

    \b
    Example:
      bonsai-edge halt --reason "emergency stop"
    """
    from bonsai_edge.cli.terminal import echo_json
    from bonsai_edge.rpc.client import Client

    with Client(endpoint, keys=keys_directory) as client:
        cancelled = client.halt(reason)
    if as_json:
        echo_json({"halted": True, "cancelled": cancelled})
    else:
        click.echo(f"halted; {len(cancelled)} requests were cancelled")
