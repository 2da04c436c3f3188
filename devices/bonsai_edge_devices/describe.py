"""Puts the whole description of a machine together."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bonsai_edge.board_profile import BoardProfile
from bonsai_edge.device_description import Board, DeviceDescription
from bonsai_edge_devices import macos
from bonsai_edge_devices.probes.batteries import on_mains, probe_batteries
from bonsai_edge_devices.probes.board import android_properties, probe_board
from bonsai_edge_devices.probes.caches import probe_caches
from bonsai_edge_devices.probes.clusters import offline_cpus, online_cpus, probe_clusters
from bonsai_edge_devices.probes.cpuinfo import CpuInfo
from bonsai_edge_devices.probes.disks import probe_disks
from bonsai_edge_devices.probes.gpus import probe_gpus
from bonsai_edge_devices.probes.isolation import probe_isolation
from bonsai_edge_devices.probes.memory import probe_memory
from bonsai_edge_devices.probes.power_mode import probe_power_mode
from bonsai_edge_devices.probes.system import probe_system
from bonsai_edge_devices.probes.thermal import probe_thermal_zones
from bonsai_edge_devices.profiles import find_profile, load_profiles
from bonsai_edge_devices.root import Root


def describe(root: Root, profile_files: Iterable[Path]) -> DeviceDescription:
    """Return everything that can be known of a machine without measuring."""
    profiles = load_profiles(root, profile_files).values()
    if root.output("uname", "-s") == "Darwin":
        return macos.describe(root, profiles)
    info, board = CpuInfo(root), probe_board(root)
    soc = info.model_name() or _soc(root, board)
    profile = find_profile(profiles, board, soc)
    cpus = online_cpus(root, info)
    gpus = probe_gpus(root, board.compatible)
    return DeviceDescription(
        board=board,
        soc=(profile.soc if profile else None) or soc,
        profile=profile,
        system=probe_system(root),
        clusters=probe_clusters(root, info),
        offline_cpus=offline_cpus(root, info),
        isa_features=info.isa_features(),
        caches=probe_caches(root, cpus),
        memory=probe_memory(root, unified=_unified(profile, [gpu.integrated for gpu in gpus])),
        disks=probe_disks(root),
        gpus=gpus,
        power_mode=probe_power_mode(root),
        thermal_zones=probe_thermal_zones(root),
        batteries=probe_batteries(root),
        on_mains=on_mains(root),
        isolation=probe_isolation(root, info),
        problems=root.problems,
    )


def _soc(root: Root, board: Board) -> str | None:
    """Return the chip's name, which an Arm board's firmware gives: Android's, or the last of the device tree's list."""
    properties = android_properties(root)
    named = properties.get("ro.soc.model") or properties.get("ro.board.platform")
    return named or (board.compatible[-1] if board.compatible else None)


def _unified(profile: BoardProfile | None, integrated: list[bool | None]) -> bool | None:
    """Tell whether the GPU uses the processor's memory: as the profile says, or as all GPUs that are known do."""
    if profile is not None and profile.memory.unified is not None:
        return profile.memory.unified
    return all(integrated) if integrated and None not in integrated else None
