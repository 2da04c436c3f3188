"""`bonsai-edge serve`: one model for many clients."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.options import LoadingOptions, json_option, loading_options, model_option
from bonsai_edge.cli.pinning import pin_all, pin_option, read_prefix

if TYPE_CHECKING:
    from bonsai_edge.rpc.compute import ServedModel


@click.command()
@click.option(
    "--bind",
    "endpoints",
    multiple=True,
    metavar="ENDPOINT",
    help="Where to listen; may be repeated. Loopback TCP or a socket file, since messages are not encrypted.  "
    "[default: a socket in the user's runtime directory, and tcp://127.0.0.1:5571]",
)
@model_option
@pin_option
@loading_options
@json_option
def serve(
    endpoints: tuple[str, ...], model: str, pinned_files: tuple[Path, ...], loading: LoadingOptions, as_json: bool
) -> None:
    """Answer requests over ZeroMQ until stopped by Ctrl-C or SIGTERM.

    Says on standard error where it listens, and "ready" when the model is loaded; with --json one object with the same
    on standard output.

    \b
    Example:
      bonsai-edge serve
      bonsai-edge serve --model Bonsai-1.7B-Q1_0.gguf --bind ipc:///run/robot/bonsai.sock
      bonsai-edge serve --pin system.json
    """
    import os
    import signal

    from bonsai_edge.cli.answer import describe_model
    from bonsai_edge.cli.terminal import echo_json
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
                    "context": served.context,
                    "threads": served.threads,
                    "load_s": served.load_s,
                    "pid": os.getpid(),
                }
            )

    prefixes = [(path.name, read_prefix(path)) for path in pinned_files]
    server = Server(lambda: pin_all(load(model, **loading), prefixes), endpoints)
    for endpoint in server.endpoints:
        click.echo(f"listening on {endpoint}", err=True)
    server.run(announce, stop_on=(signal.SIGINT, signal.SIGTERM))
