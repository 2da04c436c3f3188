"""What core asks this plugin: the machine it runs on."""

from __future__ import annotations

from bonsai_edge.device import DeviceProfile
from bonsai_edge.hookspecs import hookimpl


@hookimpl(trylast=True)
def bonsai_device_profile() -> DeviceProfile:
    """Describe any machine; a plugin that knows it better is asked before."""
    from bonsai_edge_devices.generic import read_profile

    return read_profile()
