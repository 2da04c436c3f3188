"""Finds plugins through the entry-point group `bonsai_edge` and asks them what they provide."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TypeVar

import pluggy

from bonsai_edge import hookspecs
from bonsai_edge.backend import Availability, Backend
from bonsai_edge.device import DeviceProfile
from bonsai_edge.device_description import DeviceDescription
from bonsai_edge.errors import BackendUnavailableError, UnknownBackendError
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


@dataclass(frozen=True)
class BackendChoice:
    """The backend that is taken; `note` says what it takes the place of and why, None if it was the first choice."""

    backend: Backend
    note: str | None = None


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
    statuses = [BackendStatus(backend, _probe(backend)) for backend in _installed_backends()]
    return sorted(statuses, key=lambda status: (-status.availability.score, status.name))


def _installed_backends() -> list[Backend]:
    offers: list[list[Backend]] = plugin_manager().hook.bonsai_backends()
    return [backend for offer in offers for backend in offer]


def _probe(backend: Backend) -> Availability:
    try:
        return backend.probe()
    except Exception as exc:  # a third party's mistake must not take the other backends away
        logger.warning("The probe of backend %r failed.", backend.name, exc_info=True)
        return Availability(False, f"Its probe failed: {exc!r}.")


def choose_auto(statuses: Iterable[BackendStatus]) -> str | None:
    """Return the name of the best usable backend; None if only those with score 0 are left."""
    usable = [status for status in statuses if status.availability.available and status.availability.score > 0]
    return max(usable, key=lambda status: status.availability.score).name if usable else None


def select_backend(name: str, *, require: bool = False) -> BackendChoice:
    """Return the backend of a name, or the best for "auto"; one that cannot run is replaced by the best that can.

    With `require` it is not replaced: BackendUnavailableError says why it cannot run. So it does if nothing can take
    its place. A named one that can run is the only one that is probed. Raises UnknownBackendError for a name that is
    not installed.
    """
    if name == "auto":
        return _best_backend(require=require)
    wanted = _installed_backend(name)
    availability = _probe(wanted)
    if availability.available:
        return BackendChoice(wanted)
    if require:
        raise _unavailable(wanted, availability)
    fallback = _best_backend(require=False).backend
    return BackendChoice(
        fallback, f"{fallback.name} computes instead of {name}, which cannot run here: {availability.reason}"
    )


def _best_backend(*, require: bool) -> BackendChoice:
    """Return the best usable backend; the note, or with `require` the error, is about one that would be better."""
    statuses = {status.name: status for status in list_backends()}
    name = choose_auto(statuses.values())
    if name is None:
        reasons = " ".join(f"{status.name}: {status.availability.reason}" for status in statuses.values())
        raise BackendUnavailableError(
            f"No backend can be chosen by itself here. {reasons}",
            "Mend what a reason names, or choose the slow --backend reference.",
        )
    chosen, best = statuses[name], next(iter(statuses.values()))
    if best.availability.score == chosen.availability.score:
        return BackendChoice(chosen.backend)
    if require:
        raise _unavailable(best.backend, best.availability)
    return BackendChoice(
        chosen.backend, f"{name} computes instead of {best.name}, which cannot run here: {best.availability.reason}"
    )


def _installed_backend(name: str) -> Backend:
    installed = {backend.name: backend for backend in _installed_backends()}
    if name not in installed:
        raise UnknownBackendError(
            f"There is no backend {name!r}; installed are {', '.join(sorted(installed))}.",
            "Choose one of them, or 'auto'.",
        )
    return installed[name]


def _unavailable(backend: Backend, availability: Availability) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"Backend {backend.name!r} cannot run here: {availability.reason}",
        "See `bonsai-edge backends` for the ones that can.",
    )


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
