from pathlib import Path

import pytest

from bonsai_edge.sensors import Quantity, Reading
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.rapl import EnergyCounter

ZONE = "sys/class/powercap/intel-rapl:0"


def zone(root: Path, energy_uj: int, range_uj: int | None) -> Path:
    folder = root / ZONE
    folder.mkdir(parents=True)
    (folder / "name").write_text("package-0\n")
    (folder / "energy_uj").write_text(f"{energy_uj}\n")
    if range_uj is not None:
        (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
    return folder / "energy_uj"


def test_energy_counts_from_the_first_reading_and_over_the_end_of_the_range(tmp_path: Path) -> None:
    file = zone(tmp_path, 9_000_000, 9_999_999)
    counter = EnergyCounter(Root(tmp_path), ZONE)
    totals = []
    for energy_uj in (9_000_000, 9_500_000, 500_000, 600_000):  # the counter begins again at zero in between
        file.write_text(f"{energy_uj}\n")
        (reading,) = counter.read()
        assert reading == Reading(Quantity.ENERGY, "package-0", "processor package", reading.value)
        totals.append(reading.value)
    counter.close()
    assert totals == [0.0, 0.5, 1.5, 1.6]


def test_a_counter_that_falls_needs_a_range(tmp_path: Path) -> None:
    file = zone(tmp_path, 5_000_000, None)
    counter = EnergyCounter(Root(tmp_path), ZONE)
    file.write_text("4000000\n")
    with pytest.raises(OSError, match="fell, and its range is not known"):
        counter.read()
    counter.close()
