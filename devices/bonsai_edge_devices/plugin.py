"""What core asks this plugin: the machine it runs on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bonsai_edge.device import DeviceProfile
from bonsai_edge.hookspecs import hookimpl

if TYPE_CHECKING:
    from bonsai_edge.device_description import DeviceDescription
    from bonsai_edge.sensors import Sensor, Unavailable


@hookimpl(trylast=True)
def bonsai_device_profile() -> DeviceProfile:
    """Describe any machine; a plugin that knows it better is asked before."""
    from bonsai_edge_devices.generic import read_profile

    return read_profile()


@hookimpl(tryfirst=True)
def bonsai_board_profiles() -> list[Path]:
    """Bring the boards of this package."""
    from bonsai_edge_devices.profiles import builtin_profiles

    return builtin_profiles()


@hookimpl(trylast=True)
def bonsai_device_description(profile_files: list[Path]) -> DeviceDescription:
    """Describe any machine in whole."""
    from bonsai_edge_devices.describe import describe
    from bonsai_edge_devices.root import Root

    return describe(Root(), profile_files)


@hookimpl
def bonsai_sensors(description: DeviceDescription) -> list[Sensor | Unavailable]:
    """Find the sensors of this machine."""
    from bonsai_edge_devices.root import Root
    from bonsai_edge_devices.sensors.finding import find_sensors

    return find_sensors(Root(), description)
