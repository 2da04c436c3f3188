"""`bonsai-edge cancel`: ends requests of a running server."""

from __future__ import annotations

import uuid
from pathlib import Path

import click

from bonsai_edge.cli.options import client_keys_option, connect_option, json_option, parse_duration


@click.command()
@click.argument("request_ids", nargs=-1, type=click.UUID, metavar="[REQUEST_ID]...")
@click.option("--session", metavar="NAME", help="The requests of this session.")
@click.option("--all", "everything", is_flag=True, help="The requests of all clients.")
@click.option(
    "--older-than",
    "older_than_s",
    callback=parse_duration,
    metavar="TIME",
    help="Only those that the server received so long ago, such as 30s.",
)
@connect_option
@client_keys_option
@json_option
def cancel(
    request_ids: tuple[uuid.UUID, ...],
    session: str | None,
    everything: bool,
    older_than_s: float | None,
    endpoint: str,
    keys_directory: Path | None,
    as_json: bool,
) -> None:
    """Cancel requests of a running server and print the ids of those that were alive.

    Each client gets what there was of its answer. Say which: request ids, --session or --all.

    \b
    Example:
      bonsai-edge cancel 4f0c9f1e-7a55-4c1e-9a51-0f6c5f2d8a11
      bonsai-edge cancel --all --older-than 30s
    """
    from bonsai_edge.cli.terminal import echo_json
    from bonsai_edge.rpc.client import Client

    if sum((bool(request_ids), session is not None, everything)) != 1:
        raise click.UsageError("Say which requests: ids, --session or --all.")
    with Client(endpoint, keys=keys_directory) as client:
        if everything:
            cancelled = client.cancel_all(older_than_s=older_than_s)
        elif session is not None:
            cancelled = client.cancel(session=session, older_than_s=older_than_s)
        else:
            cancelled = [id_ for each in request_ids for id_ in client.cancel(each, older_than_s=older_than_s)]
    if as_json:
        echo_json({"cancelled": cancelled})
    else:
        for request_id in cancelled:
            click.echo(request_id)
