"""Measures what sampling this machine's sensors costs: the sampling thread's own time on a core.

    python benchmarks/sensor_cost.py [--seconds 10] [--period 0.1] [--root DIRECTORY]

Prints the sensors, the readings of each, and the share of a core. Programs that are started to read a sensor, such as
vcgencmd, are child processes: their time is printed apart. Another root holds a recorded machine instead of this one.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from bonsai_edge.profiling.sampling import Sampler
from bonsai_edge.sensors import Sensor
from bonsai_edge_devices.describe import describe
from bonsai_edge_devices.profiles import builtin_profiles
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.finding import find_sensors


def main() -> None:
    """Sample and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--period", type=float, default=0.1)
    parser.add_argument("--root", type=Path, default=Path("/"))
    options = parser.parse_args()
    root = Root(options.root)
    found = find_sensors(root, describe(root, builtin_profiles()))
    sensors = [entry for entry in found if isinstance(entry, Sensor)]
    for entry in found:
        if not isinstance(entry, Sensor):
            print(f"{entry.quantity.value:20} {entry} {entry.source}")
    before = os.times()
    with Sampler(sensors, options.period) as recording:
        time.sleep(options.seconds)
    after = os.times()
    for key, series in recording.series.items():
        print(f"{key.quantity.value:20} {key.name} ({key.scope}): {len(series.values)} readings, {series.values[-1]:g}")
    for (source, reason), count in recording.failures.items():
        print(f"{source}: {count} times {reason}")
    programs_s = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"{len(sensors)} sensors; thread {recording.cpu_s / recording.wall_s:.3%} of a core, ", end="")
    print(f"programs {programs_s / options.seconds:.3%}")


if __name__ == "__main__":
    main()
