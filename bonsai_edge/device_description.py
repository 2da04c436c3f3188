"""The whole description of a machine: what `bonsai-edge` can find out about it without measuring.

Made on demand; what loading a model needs is the much smaller `DeviceProfile`. Nothing here is guessed: what is not
known is None or absent, and what should have been readable and was not is listed in `problems`.
"""

from __future__ import annotations

import msgspec

from bonsai_edge.board_profile import BoardProfile


class _Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of the description; it can be written as JSON and read back."""


class Problem(_Record, frozen=True):
    """A file, a directory or a command that could not be used, and why."""

    where: str
    reason: str


class Board(_Record, frozen=True):
    """What the firmware calls the machine; `compatible` are the device tree's names, the most specific first."""

    name: str | None = None
    vendor: str | None = None
    compatible: tuple[str, ...] = ()


class System(_Record, frozen=True):
    """The operating system. `bits` are those of this process; a 64-bit kernel may run 32-bit programs."""

    os: str | None = None
    kernel: str | None = None
    machine: str | None = None
    bits: int | None = None
    page_bytes: int | None = None
    l4t: str | None = None
    jetpack: str | None = None
    android: str | None = None


class Cluster(_Record, frozen=True):
    """Cores of one kind. `cpus` is a list of online logical processors such as "0-3", None where they have no numbers.

    `capacity` is the kernel's measure of speed, of which the fastest core has 1024. Clocks in Hz: what the hardware
    has, and the limit that is set now.
    """

    num_cores: int
    num_threads: int
    name: str | None = None
    core: str | None = None
    cpus: str | None = None
    capacity: int | None = None
    min_clock_hz: int | None = None
    max_clock_hz: int | None = None
    clock_limit_hz: int | None = None
    governor: str | None = None


class Cache(_Record, frozen=True):
    """Caches of one size: how many of them, and how many logical processors share each."""

    level: int
    kind: str
    bytes: int
    shared_by: int
    instances: int


class Memory(_Record, frozen=True):
    """Memory in bytes. `limit_bytes` is the lowest limit of the control groups; `unified` if CPU and GPU share it."""

    total_bytes: int | None = None
    available_bytes: int | None = None
    limit_bytes: int | None = None
    swap_bytes: int | None = None
    zram_bytes: int | None = None
    huge_pages: str | None = None
    unified: bool | None = None


class Disk(_Record, frozen=True):
    """A block device. `link` is the speed of its bus, where the bus tells."""

    name: str
    kind: str
    model: str | None = None
    bytes: int | None = None
    link: str | None = None
    holds_root: bool = False


class Gpu(_Record, frozen=True):
    """A graphics processor. `memory_bytes` is its own, which an integrated one has not."""

    name: str | None = None
    vendor: str | None = None
    driver: str | None = None
    driver_version: str | None = None
    integrated: bool | None = None
    memory_bytes: int | None = None
    max_clock_hz: int | None = None


class PowerMode(_Record, frozen=True):
    """The mode that limits clocks and power, and the modes there are."""

    name: str
    source: str
    choices: tuple[str, ...] = ()


class ThermalZone(_Record, frozen=True):
    """A temperature that the system watches: where it begins to slow down, and where it switches off."""

    name: str
    passive_c: float | None = None
    critical_c: float | None = None


class Battery(_Record, frozen=True):
    """A battery of the machine itself."""

    name: str
    status: str | None = None
    charge_percent: int | None = None
    technology: str | None = None
    full_wh: float | None = None


class Isolation(_Record, frozen=True):
    """What stands between this process and the machine."""

    container: str | None = None
    hypervisor: str | None = None
    cpu_quota_cores: float | None = None


class DeviceDescription(_Record, frozen=True):
    """A machine."""

    board: Board = Board()
    soc: str | None = None
    profile: BoardProfile | None = None
    system: System = System()
    clusters: tuple[Cluster, ...] = ()
    offline_cpus: str | None = None
    isa_features: tuple[str, ...] = ()
    caches: tuple[Cache, ...] = ()
    memory: Memory = Memory()
    disks: tuple[Disk, ...] = ()
    gpus: tuple[Gpu, ...] = ()
    power_mode: PowerMode | None = None
    thermal_zones: tuple[ThermalZone, ...] = ()
    batteries: tuple[Battery, ...] = ()
    on_mains: bool | None = None
    isolation: Isolation = Isolation()
    problems: tuple[Problem, ...] = ()
