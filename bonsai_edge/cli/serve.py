"""`bonsai-edge serve`: one model for many clients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.options import (
    LoadingOptions,
    json_option,
    keys_option,
    loading_options,
    model_option,
    parse_duration,
)
from bonsai_edge.cli.pinning import pin_all, pin_option, read_prefix
from bonsai_edge.rpc.messages import Limits

if TYPE_CHECKING:
    from bonsai_edge.model import Model
    from bonsai_edge.rpc.served_model import ServedModel


@click.command()
@click.option(
    "--bind",
    "endpoints",
    multiple=True,
    metavar="ENDPOINT",
    help="Where to listen; may be repeated. Loopback TCP or a socket file; with --keys any address.  "
    "[default: a socket in the user's runtime directory, and tcp://127.0.0.1:5571]",
)
@keys_option("Encrypt TCP, and let in only the keys that this directory allows; `bonsai-edge keys` fills it.")
@model_option
@pin_option
@loading_options
@click.option(
    "--idle-unload",
    "idle_unload_s",
    callback=parse_duration,
    metavar="TIME",
    help="Give the model's memory back after this long without a request, such as 10m, and load it for the next.  "
    "[default: never]",
)
@click.option(
    "--max-active",
    type=click.IntRange(1, 32),
    default=Limits().max_active,
    show_default=True,
    help="How many requests are computed together, memory permitting (see --sessions).",
)
@json_option
def serve(
    endpoints: tuple[str, ...],
    keys_directory: Path | None,
    model: str,
    pinned_files: tuple[Path, ...],
    loading: LoadingOptions,
    idle_unload_s: float | None,
    max_active: int,
    as_json: bool,
) -> None:
    """Answer requests over ZeroMQ until stopped by Ctrl-C or SIGTERM.

    Says on standard error where it listens, and "ready" when the model is loaded; with --json one object with the same
    on standard output.

    \b
    Example:
      bonsai-edge serve
      bonsai-edge serve --model Bonsai-1.7B-Q1_0.gguf --bind ipc:///run/robot/bonsai.sock --idle-unload 10m
      bonsai-edge serve --pin system.json
      bonsai-edge serve --bind 'tcp://*:5571' --keys /etc/robot/keys
    """
    import os
    import signal

    from bonsai_edge.cli.answer import describe_model
    from bonsai_edge.cli.terminal import echo_json
    from bonsai_edge.rpc.security.key_files import load_server_keys
    from bonsai_edge.rpc.server import Server
    from bonsai_edge.runtime import load

    def announce(served: ServedModel) -> None:
        click.echo(f"ready: {describe_model(served)}", err=True)
        if as_json:
            echo_json(
                {
                    "endpoints": server.endpoints,
                    "model": served.name,
                    "backend": served.backend_name,
                    "backend_note": served.backend_note,
                    "context": served.context,
                    "threads": served.threads,
                    "load_s": served.load_s,
                    "pid": os.getpid(),
                }
            )

    prefixes = [(path.name, read_prefix(path)) for path in pinned_files]

    def load_as_before() -> Model:
        loaded = load(model, **loading)
        # Clients have been told the context: it is not chosen anew when the model is loaded again.
        loading["context"], loading["kv"] = loaded.context, loaded.kv_type.value
        return pin_all(loaded, prefixes)

    keys = None if keys_directory is None else load_server_keys(keys_directory)
    limits = Limits(max_active=max_active)
    server = Server(load_as_before, endpoints, limits=limits, idle_unload_s=idle_unload_s, keys=keys)
    for endpoint in server.endpoints:
        click.echo(f"listening on {endpoint}", err=True)
    server.run(announce, stop_on=(signal.SIGINT, signal.SIGTERM))
