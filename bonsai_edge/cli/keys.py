"""`bonsai-edge keys`: who may use a server from another machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.options import json_option, keys_option
from bonsai_edge.cli.terminal import echo_json, one_line

if TYPE_CHECKING:
    from bonsai_edge.rpc.security.allow_list import AllowedKey
    from bonsai_edge.rpc.security.key_files import Side

_key_directory_option = keys_option("The directory of the keys; `new` makes it.", required=True)


@click.group()
def keys() -> None:
    """Make keys, and say which of them a server allows.

    A server and each of its clients have a directory for keys. The client gets the server's server.key, the server
    allows the client's client.key; what ends in key_secret never leaves its machine.

    \b
    Example:
      bonsai-edge keys new server --keys /etc/robot/keys
      bonsai-edge keys new client --keys keys
      bonsai-edge keys allow laptop client.key --role control --keys /etc/robot/keys
      bonsai-edge keys list --keys /etc/robot/keys --json
    """


@keys.command()
@click.argument("side", type=click.Choice(["server", "client"]))
@_key_directory_option
@json_option
def new(side: Side, keys_directory: Path, as_json: bool) -> None:
    """Make a key pair for a server or a client; its public key goes to standard output."""
    from bonsai_edge.rpc.security.key_files import create_key_pair

    public_key = create_key_pair(keys_directory, side)
    if as_json:
        files = {
            "public_file": str(keys_directory / f"{side}.key"),
            "secret_file": str(keys_directory / f"{side}.key_secret"),
        }
        echo_json({"side": side, "public_key": public_key} | files)
        return
    click.echo(public_key)
    other = "its clients" if side == "server" else "its server"
    click.echo(one_line(f"{keys_directory / side}.key is for {other}, {side}.key_secret for nobody else."), err=True)


@keys.command()
@click.argument("name")
@click.argument("key")
@click.option(
    "--role",
    type=click.Choice(["generate", "control", "admin"]),
    default="generate",
    show_default=True,
    help="generate: ask, and cancel what one asked; control: also halt, and cancel what others asked; admin: all.",
)
@click.option(
    "--max-requests",
    type=click.IntRange(1, 256),
    default=16,
    show_default=True,
    metavar="N",
    help="Generations of this key that may wait or run at the same time.",
)
@_key_directory_option
def allow(name: str, key: str, role: str, max_requests: int, keys_directory: Path) -> None:
    """Allow a client's KEY, given as the file client.key or as its 40 characters, under a NAME.

    Characters that begin with a dash go behind `--`, at the end of the line. Allowing a key again changes its role and
    quota. A running server follows within a second.
    """
    import msgspec

    from bonsai_edge.errors import InvalidRequestError
    from bonsai_edge.rpc.security.allow_list import AllowedKey
    from bonsai_edge.rpc.security.allow_list import allow as allow_key
    from bonsai_edge.rpc.security.key_files import read_public_key

    described = {"name": name, "key": read_public_key(key), "role": role, "max_requests": max_requests}
    try:
        entry = msgspec.convert(described, AllowedKey)
    except msgspec.ValidationError as exc:
        raise InvalidRequestError(
            f"{name!r} is no name for a key: {exc}.", "Use up to 64 letters, digits, dots, dashes and underscores."
        ) from exc
    allow_key(keys_directory, entry)
    click.echo(f"{name} is allowed to {role}.", err=True)


@keys.command("list")
@_key_directory_option
@json_option
def list_keys(keys_directory: Path, as_json: bool) -> None:
    """List the keys that a server allows: name, role, quota and key."""
    from bonsai_edge.rpc.security.allow_list import allow_list_path, read_allow_list

    allowed = read_allow_list(allow_list_path(keys_directory)).keys
    if as_json:
        echo_json({"directory": str(keys_directory), "keys": allowed})
    else:
        _print_table(allowed)


@keys.command()
@click.argument("name")
@_key_directory_option
def revoke(name: str, keys_directory: Path) -> None:
    """Allow a key no longer. A running server ends what it has asked for within a second."""
    from bonsai_edge.rpc.security.allow_list import revoke as revoke_key

    revoke_key(keys_directory, name)
    click.echo(f"{name} is not allowed any more.", err=True)


def _print_table(allowed: tuple[AllowedKey, ...]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("name", "role", "requests", "key"):
        table.add_column(title, justify="right" if title == "requests" else "left", no_wrap=True)
    for each in allowed:
        table.add_row(each.name, each.role.value, str(each.max_requests), Text(each.key))
    if allowed:
        Console(highlight=False).print(table)
    click.echo(f"{len(allowed)} {'key is' if len(allowed) == 1 else 'keys are'} allowed.", err=True)
