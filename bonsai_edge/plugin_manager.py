"""Finds plugins through the entry-point group `bonsai_edge` and asks them what they provide."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TypeVar

import pluggy

from bonsai_edge import hookspecs
from bonsai_edge.backend import Availability, Backend
from bonsai_edge.device import DeviceProfile
from bonsai_edge.device_description import DeviceDescription
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.reference import ReferenceBackend
from bonsai_edge.sensors import Sensor, Unavailable

logger = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")


@dataclass(frozen=True)
class BackendStatus:
    """A backend and what its probe said."""

    backend: Backend
    availability: Availability

    @property
    def name(self) -> str:
        """The name it is chosen by."""
        return self.backend.name

    @property
    def summary(self) -> str:
        """What it computes with."""
        return self.backend.summary


class _Core:
    """The hooks that core itself implements."""

    @hookspecs.hookimpl
    def bonsai_backends(self) -> list[Backend]:
        return [ReferenceBackend()]


@cache
def plugin_manager() -> pluggy.PluginManager:
    """Load every plugin once; one that fails to import is logged and left out."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(_Core(), name="core")
    for entry_point in entry_points(group=hookspecs.PROJECT):
        try:
            manager.register(entry_point.load(), name=entry_point.name)
        except Exception:  # whatever a third party's module raises, the other plugins still work
            logger.warning("Plugin %r cannot be loaded and is left out.", entry_point.name, exc_info=True)
    return manager


def list_backends() -> list[BackendStatus]:
    """Probe every backend, the best first."""
    statuses = [probe(backend) for backend in installed_backends()]
    return sorted(statuses, key=lambda status: (-status.availability.score, status.name))


def installed_backends() -> list[Backend]:
    """Return every backend that core and plugins offer."""
    offers: list[list[Backend]] = plugin_manager().hook.bonsai_backends()
    return [backend for offer in offers for backend in offer]


def probe(backend: Backend) -> BackendStatus:
    """Ask a backend whether it can run here; it cannot if its probe raises."""
    try:
        availability = backend.probe()
    except Exception as exc:  # a third party's mistake must not take the other backends away
        logger.warning("The probe of backend %r failed.", backend.name, exc_info=True)
        availability = Availability(False, f"Its probe failed: {exc!r}.")
    return BackendStatus(backend, availability)


def device_profile() -> DeviceProfile:
    """Ask the device plugins what this machine is."""
    profile: DeviceProfile | None = plugin_manager().hook.bonsai_device_profile()
    return _answered(profile)


def device_description() -> DeviceDescription:
    """Ask the device plugins for all that they know of this machine; takes tens of milliseconds."""
    hook = plugin_manager().hook
    files = [file for files in hook.bonsai_board_profiles() for file in files]
    description: DeviceDescription | None = hook.bonsai_device_description(profile_files=files)
    return _answered(description)


def find_sensors(description: DeviceDescription) -> list[Sensor | Unavailable]:
    """Ask the device plugins for the sensors of this machine; whoever samples them closes them."""
    found: list[list[Sensor | Unavailable]] = plugin_manager().hook.bonsai_sensors(description=description)
    return [sensor for sensors in found for sensor in sensors]


def _answered(answer: _Answer | None) -> _Answer:
    if answer is None:
        raise BackendUnavailableError(
            "No device plugin describes this machine.", "Reinstall bonsai-edge: its own device plugin is missing."
        )
    return answer
