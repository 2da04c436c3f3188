"""Clocks: what the kernel believes, and where something measures, what is true."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bonsai_edge.cpu_list import format_cpu_list
from bonsai_edge.sensors import Quantity, Reading, Sensor
from bonsai_edge_devices.probes.clusters import clock_policies
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.candidates import Candidate
from bonsai_edge_devices.sensors.files import reading
from bonsai_edge_devices.sensors.programs import PROGRAM_PERIOD_S, ask

_GPU_CLOCK = re.compile(r".*gpu.*|.*\.(gm20b|gp10b|gv11b|ga10b)")


def clocks(root: Root) -> Iterator[Candidate]:
    """Return the clocks of processors and of a GPU that shares their chip.

    A driver may report the clock that it asked for: on a Raspberry Pi the firmware lowers it without telling.
    """
    for policy, cpus in clock_policies(root).items():
        name = f"CPU {format_cpu_list(cpus)}"
        yield Candidate(Quantity.REPORTED_CLOCK, name, name, (f"{policy}/scaling_cur_freq",), 1e3)
        if root.exists(f"{policy}/cpuinfo_avg_freq"):  # from the activity counters of the hardware, Linux 6.15
            yield Candidate(Quantity.MEASURED_CLOCK, name, name, (f"{policy}/cpuinfo_avg_freq",), 1e3)
    for path in root.names("sys/class/devfreq"):
        name = path.rpartition("/")[2]
        if _GPU_CLOCK.fullmatch(name):
            yield Candidate(Quantity.REPORTED_CLOCK, f"GPU {name}", "GPU", (f"{path}/cur_freq",), 1)


class PiArmClock(Sensor):
    """The clock that a Raspberry Pi's firmware measures: `frequency(48)=2400033792`, the number varies."""

    source = "vcgencmd measure_clock arm"
    quantities = frozenset({Quantity.MEASURED_CLOCK})
    period_s = PROGRAM_PERIOD_S

    def __init__(self, root: Root) -> None:
        self._root = root

    def read(self) -> list[Reading]:
        """Ask the firmware."""
        output = ask(self._root, "vcgencmd", "measure_clock", "arm")
        match = re.fullmatch(r"frequency\(\d+\)=(\d{1,11})", output)
        if match is None:
            raise OSError(f"gave no frequency: {output[:60]!r}")
        return [reading(Quantity.MEASURED_CLOCK, "ARM cores", "ARM cores", float(match[1]))]
