"""Finds the sensors of a machine, and says of each quantity that has none why it has none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain

from bonsai_edge.board_profile import Power
from bonsai_edge.device_description import DeviceDescription
from bonsai_edge.sensors import Quantity, Sensor, Unavailable
from bonsai_edge_devices.probes.batteries import own_batteries
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.battery import BatteryPower
from bonsai_edge_devices.sensors.candidates import Candidate, distinct
from bonsai_edge_devices.sensors.clocks import PiArmClock, clocks
from bonsai_edge_devices.sensors.files import FileSensor
from bonsai_edge_devices.sensors.nvml import find_gpus
from bonsai_edge_devices.sensors.pi_power import PiPowerChip
from bonsai_edge_devices.sensors.rails import RailSum, rails
from bonsai_edge_devices.sensors.rapl import ROOT_ONLY, EnergyCounter, energy_zones
from bonsai_edge_devices.sensors.temperatures import temperatures
from bonsai_edge_devices.sensors.throttling import PiThrottling, throttle_counters

_Found = Sensor | Unavailable

# What is to be said where nothing was found, by quantities of which one is enough.
_MISSING = (
    ((Quantity.TEMPERATURE,), "this system shows no temperature"),
    ((Quantity.REPORTED_CLOCK, Quantity.MEASURED_CLOCK), "this system shows no clock"),
    ((Quantity.THROTTLED, Quantity.THROTTLE_EVENTS), "this hardware does not tell, or this system does not show it"),
    ((Quantity.POWER, Quantity.ENERGY), "this machine has no power sensor that is known"),
)


def find_sensors(root: Root, description: DeviceDescription) -> list[_Found]:
    """Return the sensors that work; whoever uses them closes them."""
    power = description.profile.power if description.profile else Power()
    found = [entry for source in _SOURCES for entry in source(root, description, power)]
    return [*found, *_missing(found, description, power)]


def _files(root: Root, _: DeviceDescription, __: Power) -> Iterator[_Found]:
    for candidate in distinct(chain(temperatures(root), clocks(root), throttle_counters(root))):
        yield _file_sensor(root, candidate)


def _board_rails(root: Root, _: DeviceDescription, power: Power) -> Iterator[_Found]:
    candidates = list(distinct(rails(root, power)))
    found = [_file_sensor(root, candidate) for candidate in candidates]
    sensors = [sensor for sensor in found if isinstance(sensor, Sensor)]
    if len(sensors) > 1 and power.total_scope not in {candidate.scope for candidate in candidates}:
        yield RailSum(sensors)
        found = [entry for entry in found if isinstance(entry, Unavailable)]
    yield from found


def _raspberry_pi(root: Root, description: DeviceDescription, power: Power) -> Iterator[_Found]:
    if (description.board.name or "").startswith("Raspberry Pi"):
        yield _working(Quantity.MEASURED_CLOCK, PiArmClock.source, partial(PiArmClock, root))
        yield _working(Quantity.THROTTLED, "get_throttled", partial(PiThrottling, root))
        if power.rails:
            yield _working(Quantity.POWER, PiPowerChip.source, partial(PiPowerChip, root, power))


def _energy_counters(root: Root, _: DeviceDescription, __: Power) -> Iterator[_Found]:
    for zone in energy_zones(root):
        found = _working(Quantity.ENERGY, f"{zone}/energy_uj", partial(EnergyCounter, root, zone))
        if isinstance(found, Unavailable) and found.reason == "permission denied":
            found = Unavailable(found.quantity, found.source, ROOT_ONLY)
        yield found


def _own_batteries(root: Root, _: DeviceDescription, __: Power) -> Iterator[_Found]:
    for path in own_batteries(root):
        yield _working(Quantity.POWER, path, partial(BatteryPower, root, path))


def _nvidia(_: Root, description: DeviceDescription, __: Power) -> Iterator[_Found]:
    if any(gpu.vendor == "NVIDIA" and not gpu.integrated for gpu in description.gpus):
        try:
            gpus = find_gpus()
        except OSError as exc:
            yield Unavailable(Quantity.POWER, "NVML", str(exc))
        else:
            for gpu in gpus:
                yield _tested(Quantity.POWER, gpu)


_SOURCES: tuple[Callable[[Root, DeviceDescription, Power], Iterator[_Found]], ...] = (
    _files,
    _board_rails,
    _raspberry_pi,
    _energy_counters,
    _own_batteries,
    _nvidia,
)


def _file_sensor(root: Root, candidate: Candidate) -> _Found:
    def make() -> FileSensor:
        fields = (candidate.quantity, candidate.name, candidate.scope, candidate.scale, candidate.period_s)
        return FileSensor(root, candidate.paths, *fields)

    return _working(candidate.quantity, ", ".join(candidate.paths), make)


def _working(quantity: Quantity, source: str, make: Callable[[], Sensor]) -> _Found:
    try:
        return _tested(quantity, make())
    except OSError as exc:
        return Unavailable(quantity, source, _reason(exc))


def _tested(quantity: Quantity, sensor: Sensor) -> _Found:
    """Return the sensor if it can be read, or may be later."""
    try:
        sensor.read()
    except BlockingIOError:
        return sensor
    except OSError as exc:
        sensor.close()
        return Unavailable(quantity, sensor.source, _reason(exc))
    return sensor


def _missing(found: list[_Found], description: DeviceDescription, power: Power) -> Iterator[Unavailable]:
    """Explain the quantities that neither a sensor nor a reason speaks of."""
    told = {entry.quantity for entry in found if isinstance(entry, Unavailable)}
    for sensor in found:
        if isinstance(sensor, Sensor):
            told |= sensor.quantities
    for quantities, reason in _MISSING:
        if told.isdisjoint(quantities):
            note = power.note if Quantity.POWER in quantities else None
            yield Unavailable(quantities[0], "", note or _hidden(description) or reason)


def _hidden(description: DeviceDescription) -> str | None:
    """Return why a system shows nothing at all, if it is one that does not."""
    if description.isolation.hypervisor:
        return "a virtual machine does not see the sensors of its host"
    if (description.system.os or "").startswith("macOS"):
        return "macOS shows it to root only, through powermetrics"
    return None


def _reason(exc: OSError) -> str:
    return (exc.strerror or str(exc)).lower() if exc.errno else str(exc)
