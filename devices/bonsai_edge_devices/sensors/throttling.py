"""Why and how often the hardware slowed itself down."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bonsai_edge.sensors import Quantity, Reading, Sensor
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.candidates import Candidate, hwmon_chips
from bonsai_edge_devices.sensors.programs import PROGRAM_PERIOD_S, ask

# Bits of get_throttled; 16 higher are the same since the firmware last forgot them.
# https://github.com/raspberrypi/documentation/blob/0cc21c8/documentation/asciidoc/computers/os/graphics-utilities.adoc
_PI_BITS = {0: "under-voltage", 1: "ARM frequency capped", 2: "throttled", 3: "soft temperature limit"}
_PI_SINCE = 16

# https://docs.nvidia.com/jetson/archives/r36.5.2/DeveloperGuide/SD/PlatformPowerAndPerformance.html
_TEGRA_EVENTS = {1: "under-voltage", 2: "average over-current", 3: "instantaneous over-current"}

_CPUS = "sys/devices/system/cpu"


def throttle_counters(root: Root) -> Iterator[Candidate]:
    """Return what the hardware counts.

    Intel's are explained at https://docs.kernel.org/admin-guide/thermal/intel_thermal_throttle.html
    """
    packages = set()
    for path in root.names(_CPUS, "cpu[0-9]*"):
        folder, cpu = f"{path}/thermal_throttle", path.rpartition("/")[2]
        if root.exists(folder):
            yield Candidate(Quantity.THROTTLE_EVENTS, f"core of {cpu}", "core", (f"{folder}/core_throttle_count",), 1)
            package = root.line(f"{path}/topology/physical_package_id") or "0"
            if package not in packages:
                packages.add(package)
                name = f"package {package}"
                yield Candidate(Quantity.THROTTLE_EVENTS, name, "package", (f"{folder}/package_throttle_count",), 1)
                if root.exists(f"{folder}/package_throttle_total_time_ms"):
                    file = f"{folder}/package_throttle_total_time_ms"
                    yield Candidate(Quantity.THROTTLE_TIME, name, "package", (file,), 1e-3)
    for chip, name in hwmon_chips(root):
        if name == "soctherm_oc":
            for number, event in _TEGRA_EVENTS.items():
                yield Candidate(Quantity.THROTTLE_EVENTS, event, "module", (f"{chip}/oc{number}_event_cnt",), 1)
        elif name == "rpi_volt":
            file = f"{chip}/in0_lcrit_alarm"
            yield Candidate(Quantity.THROTTLED, "under-voltage alarm", "board", (file,), 1)


def decode_pi_flags(flags: int) -> list[Reading]:
    """Return what the firmware of a Raspberry Pi says now, and what it says has been.

    The kernel's own driver makes it forget what has been, every few seconds: a 0 does not mean never.
    """
    return [
        Reading(quantity, reason, "board", float(flags >> (bit + shift) & 1))
        for quantity, shift in ((Quantity.THROTTLED, 0), (Quantity.THROTTLED_BEFORE, _PI_SINCE))
        for bit, reason in _PI_BITS.items()
    ]


class PiThrottling(Sensor):
    """The flags of a Raspberry Pi, from the kernel's file or from the firmware's program."""

    quantities = frozenset({Quantity.THROTTLED, Quantity.THROTTLED_BEFORE})

    def __init__(self, root: Root) -> None:
        self._root = root
        buses = root.names("sys/devices/platform", "soc*")
        files = [f"{node}/get_throttled" for bus in buses for node in root.names(bus, "*firmware*")]
        self._file = next((file for file in files if root.exists(file)), None)
        self.source = self._file or "vcgencmd get_throttled"
        self.period_s = 1.0 if self._file else PROGRAM_PERIOD_S

    def read(self) -> list[Reading]:
        """Read the flags: "50005" in the file, "throttled=0x50005" from the program."""
        root = self._root
        text = (root.line(self._file) or "") if self._file else ask(root, "vcgencmd", "get_throttled")
        match = re.fullmatch(r"(?:throttled=)?(?:0x)?([0-9a-fA-F]{1,8})", text)
        if match is None:
            raise OSError(f"gave no flags: {text[:60]!r}")
        return decode_pi_flags(int(match[1], 16))
