"""Block devices, what they are and how they are attached, and which of them holds the root file system."""

from __future__ import annotations

import re

from bonsai_edge.device_description import Disk
from bonsai_edge_devices.root import Root

_SECTOR_BYTES = 512  # /sys/block/*/size counts these on every disk
_DEPTH = 4  # of volumes that lie on volumes: encrypted, logical, striped

# What the name of a device begins with tells; for the rest its own files do.
_KINDS = {"nvme": "NVMe", "vd": "virtual disk", "xvd": "virtual disk", "md": "RAID"}
_CARD_KINDS = {"SD": "SD card", "MMC": "eMMC"}
_NO_DISKS = ("loop", "ram", "zram", "dm-", "mtd", "nbd", "fd", "sr")


def probe_disks(root: Root) -> tuple[Disk, ...]:
    """Return the disks that lie under `sys/block`."""
    root_disks = _disks_of_root(root)
    disks = []
    for path in root.names("sys/block"):
        name = path.rpartition("/")[2]
        if name.startswith(_NO_DISKS) or re.fullmatch(r"mmcblk\d+(boot\d+|rpmb)", name):
            continue
        sectors = root.integer(f"{path}/size")
        if not sectors:  # an empty slot
            continue
        disks.append(
            Disk(
                name=name,
                kind=_kind(root, path, name),
                model=root.line(f"{path}/device/model") or root.line(f"{path}/device/name"),
                bytes=sectors * _SECTOR_BYTES,
                link=_link(root, path),
                holds_root=name in root_disks,
            )
        )
    return tuple(disks)


def _kind(root: Root, path: str, name: str) -> str:
    if name.startswith("mmcblk"):
        return _CARD_KINDS.get(root.line(f"{path}/device/type") or "", "SD card or eMMC")
    by_name = next((kind for prefix, kind in _KINDS.items() if name.startswith(prefix)), None)
    return by_name or ("hard disk" if root.integer(f"{path}/queue/rotational", 0, 1) else "SSD or flash")


def _link(root: Root, path: str) -> str | None:
    """Return what the PCIe link of an NVMe disk runs at, such as "8.0 GT/s PCIe x4"."""
    controller = f"{path}/device/device"
    speed = root.line(f"{controller}/current_link_speed")
    width = root.integer(f"{controller}/current_link_width", 1, 64)
    return f"{speed} x{width}" if speed and width else None


def _disks_of_root(root: Root) -> set[str]:
    """Return the disks that the root file system lies on; none in a container, whose root is a layer on another."""
    for line in (root.text("proc/self/mountinfo") or "").splitlines():
        # 29 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw
        fields, _, rest = line.partition(" - ")
        words, source = fields.split(), rest.split()
        if len(words) > 4 and len(source) > 1 and words[4] == "/":
            return _disks_of_volume(root, words[2], source[1].rpartition("/")[2])
    return set()


def _disks_of_volume(root: Root, number: str, name: str, depth: int = _DEPTH) -> set[str]:
    """Return the disks of a volume, found by its device number or its name."""
    for path in root.names("sys/block"):
        disk = path.rpartition("/")[2]
        for volume in (path, *root.names(path, f"{disk}*")):
            if volume.rpartition("/")[2] == name or root.line(f"{volume}/dev") == number:
                below = [slave.rpartition("/")[2] for slave in root.names(f"{path}/slaves")]
                if not below or depth == 0:
                    return {disk}
                return {found for slave in below for found in _disks_of_volume(root, "", slave, depth - 1)}
    return set()
