"""`bonsai-edge top`: a running server, live in the terminal."""

from __future__ import annotations

from pathlib import Path

import click

from bonsai_edge.cli.options import client_keys_option, connect_option, json_option


@click.command()
@connect_option
@client_keys_option
@json_option
def top(endpoint: str, keys_directory: Path | None, as_json: bool) -> None:
    """Watch a running server until Ctrl-C: its queue, speed, memory and what its sensors say.

    With --json every event of the server is printed as one line.

    \b
    Example:
      bonsai-edge top
      bonsai-edge top --connect ipc:///run/robot/bonsai.sock
    """
    from rich.live import Live

    from bonsai_edge.cli.terminal import echo_json
    from bonsai_edge.cli.top_view import TopView
    from bonsai_edge.rpc.client import Client

    with Client(endpoint, keys=keys_directory) as client:
        if as_json:
            for event in client.events():
                echo_json(event)
        view = TopView(endpoint)
        with Live(view.render(), auto_refresh=False, screen=False) as live:
            for event in client.events():
                view.take(event)
                live.update(view.render(), refresh=True)
