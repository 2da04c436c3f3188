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
    from collections.abc import Sequence

    from bonsai_edge.model import Model
    from bonsai_edge.rpc.served_model import ServedModel
    from bonsai_edge.sensors import Sensor

HALTED_OPTION = "--halted"
REAL_TIME_OPTION = "--real-time"
_SWITCH_INTERVAL_S = 0.0002  # the longest that the control thread waits for the interpreter; 5 ms otherwise


def _parse_watchdog(ctx: click.Context, param: click.Parameter, text: str) -> float | None:
    return None if text == "off" else parse_duration(ctx, param, text)


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
@click.option(
    "--watchdog",
    "watchdog_s",
    default="30s",
    show_default=True,
    callback=_parse_watchdog,
    metavar="TIME",
    help="Start anew when the engine has work and does not move for this long; 'off' waits for ever.",
)
@click.option(
    "--drain",
    "drain_s",
    callback=parse_duration,
    metavar="TIME",
    help="On SIGTERM, let accepted requests go on for up to this long.  [default: end them at once]",
)
@click.option(
    HALTED_OPTION,
    "is_halted",
    is_flag=True,
    help="Refuse generations from the start, until `bonsai-edge resume`.",
)
@click.option(
    REAL_TIME_OPTION,
    "is_real_time",
    is_flag=True,
    help="Let what answers clients, not what computes, go before all normal programs; needs root or RLIMIT_RTPRIO.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="json writes one object a line to standard error, with the ids of requests and without their texts.",
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
    watchdog_s: float | None,
    drain_s: float | None,
    is_halted: bool,
    is_real_time: bool,
    log_format: str,
    as_json: bool,
) -> None:
    """Answer requests over ZeroMQ until stopped by Ctrl-C or SIGTERM.

    Beside each endpoint are one for control and one for events: the next two ports, or `control.sock` and `events.sock`
    beside `server.sock`.

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
    import sys

    from bonsai_edge.cli.answer import describe_model
    from bonsai_edge.cli.log_format import log_as_json
    from bonsai_edge.cli.restarting import restart
    from bonsai_edge.cli.terminal import echo_json
    from bonsai_edge.errors import EngineHungError
    from bonsai_edge.progress import progress
    from bonsai_edge.rpc.security.key_files import load_server_keys
    from bonsai_edge.rpc.server import Server
    from bonsai_edge.runtime import load
    from bonsai_edge.service_manager import ServiceManager

    if log_format == "json":
        log_as_json()

    def announce(served: ServedModel) -> None:
        progress.info("ready: %s", describe_model(served))
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
                    "boot_id": server.boot_id,
                }
            )

    _allow_many_connections()
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    prefixes = [(path.name, read_prefix(path)) for path in pinned_files]

    def load_as_before() -> Model:
        loaded = load(model, **loading)
        # Clients have been told the context: it is not chosen anew when the model is loaded again.
        loading["context"], loading["kv"] = loaded.context, loaded.kv_type.value
        pin_all(loaded, prefixes)
        _spare_the_garbage_collector()
        return loaded

    server = Server(
        load_as_before,
        endpoints,
        limits=Limits(max_active=max_active),
        idle_unload_s=idle_unload_s,
        keys=None if keys_directory is None else load_server_keys(keys_directory),
        watchdog_s=watchdog_s,
        halt_reason="started halted" if is_halted else None,
        is_real_time=is_real_time,
        find_sensors=_find_sensors,
        service_manager=ServiceManager.from_environment(),
    )
    for endpoint in server.endpoints:
        progress.info("listening on %s", endpoint)
    terminate = server.stop if drain_s is None else lambda: server.drain(drain_s)
    try:
        server.run(announce, signals={signal.SIGINT: server.stop, signal.SIGTERM: terminate})
    except EngineHungError as exc:
        progress.info("%s", exc.cause)
        restart(halted=exc.halt_reason is not None)


def _spare_the_garbage_collector() -> None:
    """Have what is there now, a vocabulary of 150,000 tokens among it, never searched for garbage again.

    A full search takes a tenth of a second, in which no thread answers.
    """
    import gc

    gc.unfreeze()  # what a model that was unloaded has left
    gc.collect()
    gc.freeze()


def _allow_many_connections() -> None:
    """Raise the limit of open files to what the system lets us have: every connection is one."""
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _find_sensors() -> Sequence[Sensor]:
    from bonsai_edge.plugin_manager import device_description, find_sensors
    from bonsai_edge.sensors import Sensor

    return [each for each in find_sensors(device_description()) if isinstance(each, Sensor)]
