"""The command `bonsai-edge`: a command's module is imported when it is used, an error of ours is one line."""

from __future__ import annotations

import contextlib
import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from bonsai_edge.cli.options import is_json_asked
from bonsai_edge.cli.terminal import echo_error, one_line, show_progress
from bonsai_edge.errors import BonsaiError
from bonsai_edge.version import __version__

if TYPE_CHECKING:
    from bonsai_edge.hookspecs import PluginCommand

COMMANDS = {
    "generate": "Answer one prompt and stream the text.",
    "chat": "Talk with a model in the terminal.",
    "serve": "Answer requests over ZeroMQ until stopped.",
    "ask": "Send one prompt to a running server.",
    "keys": "Make keys, and say which of them a server allows.",
    "status": "Say how a running server is doing.",
    "top": "Watch a running server: queue, speed, memory, temperature.",
    "halt": "Stop all generation of a server now, until `resume`.",
    "resume": "Let a halted server generate again.",
    "cancel": "Cancel requests of a running server.",
    "service": "Print or install a systemd unit for `serve`.",
    "plan": "Say whether a model fits into memory, and how.",
    "sessions": "List, fork and delete the conversations on disk.",
    "inspect": "Describe a model file without loading its weights.",
    "backends": "List the compute backends, usable or not and why.",
    "warm": "Compile now what the first start would have to.",
    "bench": "Measure prefill, decode and memory bandwidth.",
    "profile": "Tell what this machine can run, how fast, and how steadily.",
}
"""Every command of core and its line of help; `x` is the attribute `x` of the module `bonsai_edge.cli.x`."""

_EXIT_FAILED = 1
_EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it


@cache
def plugin_commands() -> dict[str, PluginCommand]:
    """Return the commands that plugins add, by name; asked for by `--help` and by names that core does not know."""
    from bonsai_edge.cli.command_plugins import find_plugin_commands

    return find_plugin_commands(taken=COMMANDS)


class LazyGroup(click.Group):
    """A click group that knows its commands by name and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, core's in the order of the table, then those of plugins."""
        return [*COMMANDS, *plugin_commands()]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None for an unknown name."""
        if cmd_name in COMMANDS:
            command: click.Command = getattr(import_module(f"bonsai_edge.cli.{cmd_name}"), cmd_name)
            return command
        if cmd_name in plugin_commands():
            from bonsai_edge.cli.command_plugins import import_command

            return import_command(plugin_commands()[cmd_name])
        return None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items(), *((c.name, c.help) for c in plugin_commands().values())])

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run the program; what the system refuses, such as a write to a full disk, is one line and exit code 1."""
        try:
            return super().main(*args, **kwargs)
        except OSError as exc:
            try:
                sys.stdout.flush()
            except OSError:  # closed, it is not tried again and complained about when Python ends
                with contextlib.suppress(OSError):
                    sys.stdout.close()
            click.echo(one_line(f"Error [io_error]: {exc}. Check the space and the permissions there."), err=True)
            sys.exit(_EXIT_FAILED)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; turn a BonsaiError into one line and exit code 1, Ctrl-C into exit code 130."""
        try:
            return super().invoke(ctx)
        except BonsaiError as exc:
            echo_error(exc, as_json=is_json_asked(ctx))
            ctx.exit(_EXIT_FAILED)
        except KeyboardInterrupt:
            click.echo(err=True)  # the terminal's ^C stands on a line that has not ended
            ctx.exit(_EXIT_INTERRUPTED)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="bonsai-edge")
def main() -> None:
    """Run 1-bit language models on robots and small computers, offline.

    \b
    Example:
      bonsai-edge generate "pick up the red cube"
      bonsai-edge serve --model Bonsai-1.7B-Q1_0.gguf
    """
    show_progress()
