"""The commands that plugins add to `bonsai-edge`: found without importing their modules, imported when used."""

from __future__ import annotations

import logging
from collections.abc import Collection
from importlib import import_module
from importlib.metadata import entry_points
from typing import cast

import click
import pluggy

from bonsai_edge import hookspecs
from bonsai_edge.errors import BonsaiError
from bonsai_edge.hookspecs import PluginCommand

logger = logging.getLogger(__name__)


class MissingLibraryError(BonsaiError):
    """A command needs a library that is not installed."""

    code = "missing_library"


def find_plugin_commands(taken: Collection[str]) -> dict[str, PluginCommand]:
    """Ask every plugin of the group `bonsai_edge.commands`, in the order of their names.

    A plugin that fails is logged and left out, and so is a command whose name is in `taken` or another plugin's.
    """
    commands: dict[str, PluginCommand] = {}
    for implementation in _load_plugins().hook.bonsai_commands.get_hookimpls():
        try:
            offered = cast("list[PluginCommand]", implementation.function())
        except Exception:  # whatever a third party's hook raises, the other commands still work
            logger.warning("Plugin %r cannot say its commands.", implementation.plugin_name, exc_info=True)
            continue
        for command in offered:
            if command.name in taken or command.name in commands:
                logger.warning(
                    "The command %r of plugin %r is left out: there is one of that name.",
                    command.name,
                    implementation.plugin_name,
                )
            else:
                commands[command.name] = command
    return commands


def _load_plugins() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    for entry_point in sorted(entry_points(group=hookspecs.COMMANDS_GROUP), key=lambda found: found.name):
        try:
            manager.register(entry_point.load(), name=entry_point.name)
        except Exception:  # whatever a third party's module raises, the other commands still work
            logger.warning("Plugin %r cannot be loaded and is left out.", entry_point.name, exc_info=True)
    return manager


def import_command(command: PluginCommand) -> click.Command:
    """Import the click command; raises MissingLibraryError with the `pip install` that brings what it imports."""
    module, _, attribute = command.target.partition(":")
    try:
        found: click.Command = getattr(import_module(module), attribute)
    except ModuleNotFoundError as exc:
        if command.install is None:
            raise
        raise MissingLibraryError(
            f"`bonsai-edge {command.name}` needs {exc.name}, which is not installed.",
            f"Run: pip install '{command.install}'",
        ) from exc
    return found
