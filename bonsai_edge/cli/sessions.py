"""`bonsai-edge sessions`: the conversations that are kept on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.options import json_option
from bonsai_edge.cli.terminal import echo_json, one_line

if TYPE_CHECKING:
    from bonsai_edge.sessions.store import SessionEntry, SessionStore


@click.group()
def sessions() -> None:
    """List, fork and delete the conversations that are kept on disk.

    `chat --session NAME` and `generate --session NAME` keep them, in the user's data directory or in the one that
    BONSAI_EDGE_SESSIONS names.

    \b
    Example:
      bonsai-edge sessions list --json
      bonsai-edge sessions fork kitchen experiment
      bonsai-edge sessions delete experiment
    """


@sessions.command("list")
@json_option
def list_sessions(as_json: bool) -> None:
    """List all sessions: model, KV type, tokens, size, and what is wrong with those that cannot be read."""
    from bonsai_edge.sessions.store import user_store

    store = user_store()
    entries = store.entries()
    if as_json:
        echo_json(
            {
                "directory": str(store.directory),
                "bytes": store.total_bytes(),
                "max_bytes": store.max_bytes,
                "sessions": [_as_record(entry) for entry in entries],
            }
        )
    else:
        _print_table(entries, store)


@sessions.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
def delete(names: tuple[str, ...]) -> None:
    """Delete sessions. Their bytes are not overwritten."""
    from bonsai_edge.sessions.store import user_store

    store = user_store()
    for name in names:
        store.delete(name)
        click.echo(f"{name} is deleted.", err=True)


@sessions.command()
@click.argument("name")
@click.argument("new_name")
def fork(name: str, new_name: str) -> None:
    """Keep a session under a second name, so that both can go on differently; takes no space where links exist."""
    from bonsai_edge.sessions.store import user_store

    user_store().fork(name, new_name)
    click.echo(f"{new_name} begins as {name} is now.", err=True)


def _as_record(entry: SessionEntry) -> dict[str, object]:
    header = entry.header
    return {
        "name": entry.name,
        "bytes": entry.num_bytes,
        "problem": entry.problem,
        "model": header and header.model_name,
        "backend": header and header.fingerprint.backend,
        "kv_type": header and header.fingerprint.kv_type,
        "tokens": header and header.num_tokens,
        "messages": header and header.num_messages,
        "saved_s": header and header.saved_s,
    }


def _print_table(entries: list[SessionEntry], store: SessionStore) -> None:
    import time

    from rich.console import Console
    from rich.filesize import decimal
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for title in ("session", "model", "KV", "tokens", "messages", "size", "saved", ""):
        table.add_column(title, justify="right" if title in ("tokens", "messages", "size") else "left")
    for entry in entries:
        header = entry.header
        facts = ["", "", "", "", decimal(entry.num_bytes), ""]
        if header is not None:
            saved = time.strftime("%Y-%m-%d %H:%M", time.localtime(header.saved_s))
            counts = [str(header.num_tokens), str(header.num_messages)]
            facts = [header.model_name, header.fingerprint.kv_type, *counts, decimal(entry.num_bytes), saved]
        table.add_row(*(Text(one_line(cell)) for cell in (entry.name, *facts, entry.problem or "")))
    if entries:
        Console(highlight=False).print(table)
    used, most = decimal(store.total_bytes()), decimal(store.max_bytes)
    click.echo(one_line(f"{len(entries)} sessions, {used} of {most}, in {store.directory}"), err=True)
