"""A Mac, which tells what it is through sysctl instead of files."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bonsai_edge.board_profile import BoardProfile
from bonsai_edge.device_description import (
    Board,
    Cache,
    Cluster,
    DeviceDescription,
    Gpu,
    Isolation,
    Memory,
    PowerMode,
    System,
)
from bonsai_edge_devices.profiles import find_profile
from bonsai_edge_devices.root import Root

_SYSCTLS = ("hw", "machdep.cpu", "kern.osproductversion", "kern.hv_vmm_present", "vm.swapusage")
_LEVELS = 4  # of performance that a chip may have
_FEATURES = {
    "hw.optional.neon": "neon",
    "hw.optional.arm.FEAT_FP16": "fp16",
    "hw.optional.arm.FEAT_DotProd": "dotprod",
    "hw.optional.arm.FEAT_I8MM": "i8mm",
    "hw.optional.arm.FEAT_BF16": "bf16",
    "hw.optional.arm.FEAT_SME": "sme",
    "hw.optional.avx2_0": "avx2",
    "hw.optional.avx512f": "avx512f",
}
_CACHES = ((1, "data", "l1dcachesize"), (1, "instruction", "l1icachesize"), (2, "unified", "l2cachesize"))


def describe(root: Root, profiles: Iterable[BoardProfile]) -> DeviceDescription:
    """Return what sysctl knows of the machine."""
    # One by one: a name that this version of macOS does not know would make the whole command fail.
    printed = "\n".join(root.output("sysctl", name) or "" for name in _SYSCTLS)
    values = dict(re.findall(r"^([\w.]{1,100}): (.{1,400})$", printed, re.MULTILINE))
    if "hw.memsize" not in values:
        root.report("sysctl hw", "tells no hw.memsize")
    board = Board(name=values.get("hw.model"), vendor="Apple")
    soc = values.get("machdep.cpu.brand_string")
    profile = find_profile(profiles, board, soc)
    is_apple_chip = soc is not None and soc.startswith("Apple")
    version = values.get("kern.osproductversion")
    bits = root.output("getconf", "LONG_BIT")
    return DeviceDescription(
        board=board,
        soc=soc,
        profile=profile,
        system=System(
            os=f"macOS {version}" if version else "macOS",
            kernel=root.output("uname", "-r"),
            machine=root.output("uname", "-m"),
            bits=int(bits) if bits in ("32", "64") else None,
            page_bytes=_number(values, "hw.pagesize"),
        ),
        clusters=_clusters(values),
        isa_features=tuple(name for key, name in _FEATURES.items() if values.get(key) == "1"),
        caches=_caches(values),
        memory=Memory(
            total_bytes=_number(values, "hw.memsize"),
            swap_bytes=_swap_bytes(values),
            unified=True if is_apple_chip else None,
        ),
        gpus=(Gpu(name=soc, vendor="Apple", driver="Metal", integrated=True),) if is_apple_chip else (),
        power_mode=_power_mode(root),
        isolation=Isolation(hypervisor="unknown" if values.get("kern.hv_vmm_present") == "1" else None),
        problems=root.problems,
    )


def _clusters(values: dict[str, str]) -> tuple[Cluster, ...]:
    """Return the levels of performance, the slowest first; an Intel Mac has no levels."""
    levels = [f"hw.perflevel{level}" for level in reversed(range(_LEVELS))]
    levels = [level for level in levels if f"{level}.physicalcpu" in values] or ["hw"]
    return tuple(
        Cluster(
            name=values.get(f"{level}.name"),
            num_cores=_number(values, f"{level}.physicalcpu") or 0,
            num_threads=_number(values, f"{level}.logicalcpu") or _number(values, f"{level}.physicalcpu") or 0,
        )
        for level in levels
    )


def _caches(values: dict[str, str]) -> tuple[Cache, ...]:
    """Return the caches of each level; the second is shared by as many cores as sysctl says."""
    caches = []
    for level in (f"hw.perflevel{number}" for number in range(_LEVELS)):
        cores = _number(values, f"{level}.logicalcpu") or 0
        for cache_level, kind, key in _CACHES:
            size = _number(values, f"{level}.{key}")
            shared_by = (_number(values, f"{level}.cpusperl2") or 1) if cache_level == 2 else 1
            if size and cores and shared_by:
                instances = -(-cores // shared_by)
                caches.append(Cache(level=cache_level, kind=kind, bytes=size, shared_by=shared_by, instances=instances))
    return tuple(sorted(caches, key=lambda cache: (cache.level, cache.kind, cache.bytes)))


def _power_mode(root: Root) -> PowerMode | None:
    match = re.search(r"^\s*lowpowermode\s+([01])$", root.output("pmset", "-g") or "", re.MULTILINE)
    if match is None:
        return None
    return PowerMode(name="low power" if match[1] == "1" else "normal", choices=("normal", "low power"), source="pmset")


def _swap_bytes(values: dict[str, str]) -> int | None:
    """Read "total = 2048.00M  used = ..."."""
    match = re.match(r"total = (\d{1,9})(?:\.\d+)?M\b", values.get("vm.swapusage", ""))
    return int(match[1]) << 20 if match else None


def _number(values: dict[str, str], key: str) -> int | None:
    value = values.get(key, "")
    return int(value) if re.fullmatch(r"\d{1,18}", value) else None
