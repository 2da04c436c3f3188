"""The sensors of recorded machines, and what they read."""

from pathlib import Path

import pytest

from bonsai_edge.sensors import Quantity, Reading, Sensor, Unavailable
from bonsai_edge_devices.describe import describe
from bonsai_edge_devices.profiles import builtin_profiles
from bonsai_edge_devices.root import Root
from bonsai_edge_devices.sensors.files import NumberFile
from bonsai_edge_devices.sensors.finding import find_sensors
from machines import write_machine


def found(machine: Path) -> list[Sensor | Unavailable]:
    root = Root(machine)
    return find_sensors(root, describe(root, builtin_profiles()))


def readings(machine: Path, *quantities: Quantity) -> list[tuple[str, str, float]]:
    """Return name, scope and value of all readings of some quantities."""
    result: list[Reading] = []
    for entry in found(machine):
        if isinstance(entry, Sensor):
            try:
                result += entry.read()
            except BlockingIOError:
                continue
            finally:
                entry.close()
    return [(r.name, r.scope, round(r.value, 4)) for r in result if r.quantity in quantities]


def reasons(machine: Path) -> dict[tuple[str, str], str]:
    result = {}
    for entry in found(machine):
        if isinstance(entry, Unavailable):
            result[entry.quantity.value, entry.source] = str(entry)
        else:
            entry.close()
    return result


@pytest.mark.parametrize(
    ("machine", "expected"),
    [
        (
            "jetson-orin-nano",
            [
                ("VDD_IN", "module", 4.5779),
                ("VDD_CPU_GPU_CV", "rail: processor cores, GPU and vision accelerators", 0.6756),
                ("VDD_SOC", "rail: the rest of the SoC", 1.4308),
            ],
        ),
        (
            "jetson-nano",
            [
                ("POM_5V_IN", "module", 1.75),
                ("POM_5V_GPU", "rail: GPU", 0.0),
                ("POM_5V_CPU", "rail: processor cores", 0.366),
            ],
        ),
        (
            "jetson-agx-orin",
            [
                ("VDD_GPU_SOC", "rail: GPU and SoC", 3.15),
                ("VDD_CPU_CV", "rail: processor cores and vision accelerators", 0.8),
                ("VIN_SYS_5V0", "rail: 5 V system rail", 2.9808),
                ("VDDQ_VDD2_1V8AO", "rail: memory and always-on rails", 0.3974),
                ("all rails", "sum of the measured rails", 7.3282),
            ],
        ),
        (
            "jetson-agx-thor",
            [
                ("ina238", "whole board", 23.1),
                ("VDD_GPU", "rail: GPU", -0.3944),
                ("VDD_CPU_SOC_MSS", "rail: processor cores, SoC and memory system", 6.5117),
                ("VIN_SYS_5V0", "rail: 5 V system rail", 6.5215),
            ],
        ),
        ("laptop-hybrid", [("BAT1", "whole device, from the battery", 9.004)]),
        ("android-termux", []),
    ],
)
def test_power_of_each_rail_with_its_scope(
    tmp_path: Path, machine: str, expected: list[tuple[str, str, float]]
) -> None:
    assert readings(write_machine(machine, tmp_path), Quantity.POWER) == expected


def test_a_raspberry_pi_5_tells_twelve_rails_their_sum_and_an_estimate(tmp_path: Path) -> None:
    power = readings(write_machine("raspberry-pi-5", tmp_path), Quantity.POWER)
    rails, total, board = power[:-2], power[-2], power[-1]
    assert len(rails) == 12
    assert ("VDD_CORE", "rail: SoC", 1.8) in rails
    watts = sum(value for *_, value in rails)
    assert total == ("all rails", "sum of the measured rails", pytest.approx(watts, abs=1e-3))
    assert board == ("board", "whole board, estimated", pytest.approx(1.1451 * total[2] + 0.5879, abs=1e-3))


def test_temperatures_fans_and_clocks(tmp_path: Path) -> None:
    machine = write_machine("raspberry-pi-5", tmp_path)
    assert readings(machine, Quantity.TEMPERATURE) == [("cpu-thermal", "cpu-thermal", 48.312)]
    assert readings(machine, Quantity.FAN) == [("pwmfan", "pwmfan", 3012.0)]
    assert readings(machine, Quantity.REPORTED_CLOCK) == [("CPU 0-3", "CPU 0-3", 1.5e9)]
    assert readings(machine, Quantity.MEASURED_CLOCK) == [("ARM cores", "ARM cores", 1500010240.0)]


def test_clocks_of_clusters_and_of_a_gpu(tmp_path: Path) -> None:
    assert readings(write_machine("jetson-orin-nano", tmp_path), Quantity.REPORTED_CLOCK) == [
        ("CPU 0-3", "CPU 0-3", 1190400000.0),
        ("CPU 4-5", "CPU 4-5", 729600000.0),
        ("GPU 17000000.gpu", "GPU", 306000000.0),
    ]


def test_chips_of_a_pc_have_labels(tmp_path: Path) -> None:
    assert readings(write_machine("desktop-nvidia", tmp_path), Quantity.TEMPERATURE) == [("Tctl", "k10temp", 43.125)]


def test_sensors_of_one_name_are_numbered(tmp_path: Path) -> None:
    machine = write_machine("desktop-nvidia", tmp_path)
    for number in (5, 6):
        chip = machine / f"sys/class/hwmon/hwmon{number}"
        chip.mkdir()
        for name, content in {"name": "nvme", "temp1_label": "Composite", "temp1_input": f"{number}0000"}.items():
            (chip / name).write_text(content)
    temperatures = readings(machine, Quantity.TEMPERATURE)
    assert temperatures[1:] == [("Composite", "nvme", 50.0), ("Composite 2", "nvme", 60.0)]


def test_counters_of_throttling(tmp_path: Path) -> None:
    intel = write_machine("laptop-hybrid", tmp_path / "intel")
    assert ("package 0", "package", 12.0) in readings(intel, Quantity.THROTTLE_EVENTS)
    assert ("core of cpu3", "core", 3.0) in readings(intel, Quantity.THROTTLE_EVENTS)
    assert readings(intel, Quantity.THROTTLE_TIME) == [("package 0", "package", 3.45)]
    jetson = write_machine("jetson-orin-nano", tmp_path / "jetson")
    assert readings(jetson, Quantity.THROTTLE_EVENTS) == [
        ("under-voltage", "module", 0.0),
        ("average over-current", "module", 15.0),
        ("instantaneous over-current", "module", 37.0),
    ]


@pytest.mark.parametrize(
    ("machine", "now", "before"),
    [
        ("raspberry-pi-3", {"under-voltage", "throttled"}, {"under-voltage", "throttled"}),  # program: 0x50005
        ("raspberry-pi-4", set(), {"throttled"}),  # file of the kernel: 40000
        ("raspberry-pi-5", set(), set()),
    ],
)
def test_flags_of_a_raspberry_pi(tmp_path: Path, machine: str, now: set[str], before: set[str]) -> None:
    path = write_machine(machine, tmp_path)
    assert {name for name, _, value in readings(path, Quantity.THROTTLED) if value} == now
    assert {name for name, _, value in readings(path, Quantity.THROTTLED_BEFORE) if value} == before


def test_what_cannot_be_read_says_why(tmp_path: Path) -> None:
    assert reasons(write_machine("raspberry-pi-5-docker", tmp_path / "docker")) == {
        ("measured_clock_hz", "vcgencmd measure_clock arm"): "unavailable: vcgencmd is not installed",
        ("throttled", "vcgencmd get_throttled"): "unavailable: vcgencmd is not installed",
        ("power_w", "vcgencmd pmic_read_adc"): "unavailable: vcgencmd is not installed",
    }
    hidden = "unavailable: a virtual machine does not see the sensors of its host"
    assert set(reasons(write_machine("cloud-vm", tmp_path / "vm")).values()) == {hidden}
    pi_4 = reasons(write_machine("raspberry-pi-4", tmp_path / "pi"))
    no_sensor = "No power sensor on the board: measure at the plug or with an external meter."
    assert pi_4 == {("power_w", ""): f"unavailable: {no_sensor}"}
    mac = reasons(write_machine("macbook-air-m2", tmp_path / "mac"))
    assert mac["temperature_c", ""] == "unavailable: macOS shows it to root only, through powermetrics"
    assert mac["power_w", ""].startswith("unavailable: powermetrics needs root")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("NaN", "is not a whole number: 'NaN'"),
        ("", "is not a whole number: ''"),
        ("999999999", "is implausible: 1e+06 (temperature_c)"),
        ("-273150", "is implausible: -273.15 (temperature_c)"),
    ],
)
def test_a_sensor_that_tells_nonsense_is_unavailable(tmp_path: Path, content: str, reason: str) -> None:
    machine = write_machine("raspberry-pi-4", tmp_path)
    (machine / "sys/class/thermal/thermal_zone0/temp").write_text(content)
    assert reasons(machine)["temperature_c", "sys/class/thermal/thermal_zone0/temp"] == f"unavailable: {reason}"


def test_energy_counters_of_root_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    machine, opening = write_machine("laptop-hybrid", tmp_path), Root.open

    def refuse(self: Root, path: str) -> int:
        if path.endswith("energy_uj"):
            raise PermissionError(13, "Permission denied")
        return opening(self, path)

    monkeypatch.setattr(Root, "open", refuse)
    reason = reasons(machine)["energy_j", "sys/class/powercap/intel-rapl:0/energy_uj"]
    assert reason.startswith("unavailable: only root may read the energy counters (CVE-2020-8694)")


def test_a_zone_of_a_gpu_that_is_off_is_kept_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def off(self: NumberFile) -> int:
        raise BlockingIOError(11, "Resource temporarily unavailable")

    machine = write_machine("jetson-agx-thor", tmp_path)
    monkeypatch.setattr(NumberFile, "read", off)
    sensors = [entry for entry in found(machine) if isinstance(entry, Sensor)]
    assert "sys/class/thermal/thermal_zone0/temp" in {sensor.source for sensor in sensors}
    for sensor in sensors:
        sensor.close()


def test_closing_gives_every_file_back(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("laptop-hybrid", "jetson-agx-orin", "raspberry-pi-5"):
        for entry in found(write_machine(name, tmp_path / name)):
            if isinstance(entry, Sensor):
                entry.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
