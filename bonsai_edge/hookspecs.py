"""Every hook that a plugin may implement.

A plugin is a module named in the entry-point group `bonsai_edge`, or `bonsai_edge.commands` for what it adds to the
command line. Its hooks return typed records and import nothing heavy: describing a backend must cost milliseconds even
where it cannot run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from bonsai_edge.backend import Backend
    from bonsai_edge.device import DeviceProfile
    from bonsai_edge.device_description import DeviceDescription
    from bonsai_edge.sensors import Sensor, Unavailable

PROJECT = "bonsai_edge"
COMMANDS_GROUP = "bonsai_edge.commands"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@dataclass(frozen=True)
class PluginCommand:
    """A subcommand of `bonsai-edge` that is imported when it is used.

    `help` is its line in `bonsai-edge --help`, `target` the click command as "package.module:attribute". `install` is
    what to give to `pip install` where a library that the command imports is missing, such as "bonsai-edge[hub]".
    """

    name: str
    help: str
    target: str
    install: str | None = None


@hookspec
def bonsai_backends() -> list[Backend]:  # type: ignore[empty-body]
    """Return the backends that this plugin offers, usable here or not."""


@hookspec(firstresult=True)
def bonsai_device_profile() -> DeviceProfile | None:
    """Return what is known of the machine this runs on, or None to let another plugin answer."""


@hookspec(firstresult=True)
def bonsai_device_description(profile_files: list[Path]) -> DeviceDescription | None:
    """Return all that is known of the machine, with the profile of its board from among the files; None to pass on.

    Asked on demand, not when a model is loaded.
    """


@hookspec
def bonsai_board_profiles() -> list[Path]:  # type: ignore[empty-body]
    """Return the TOML files of boards that this plugin knows, as docs/devices.md describes them.

    One of the same id as another plugin's takes the place of that of the built-in plugin.
    """


@hookspec
def bonsai_sensors(description: DeviceDescription) -> list[Sensor | Unavailable]:  # type: ignore[empty-body]
    """Return the sensors of this machine, each found working, and what should be one but is not."""


@hookspec
def bonsai_commands() -> list[PluginCommand]:  # type: ignore[empty-body]
    """Return the subcommands that this plugin adds; asked of the plugins of the group `bonsai_edge.commands`.

    They have a group of their own because `bonsai-edge --help` imports every module of it, and should not have to
    wait for backends.
    """
