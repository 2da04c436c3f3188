"""Every hook that a plugin may implement.

A plugin is a module named in the entry-point group `bonsai_edge`. Its hooks return typed records and import nothing
heavy: describing a backend must cost milliseconds even where it cannot run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from bonsai_edge.backend import Backend
    from bonsai_edge.device import DeviceProfile

PROJECT = "bonsai_edge"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def bonsai_backends() -> list[Backend]:  # type: ignore[empty-body]
    """Return the backends that this plugin offers, usable here or not."""


@hookspec(firstresult=True)
def bonsai_device_profile() -> DeviceProfile | None:
    """Return what is known of the machine this runs on, or None to let another plugin answer."""
