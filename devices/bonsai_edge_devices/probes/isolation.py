"""Containers and virtual machines, by the traces they leave.

The tables follow systemd-detect-virt, src/basic/virt.c of systemd.
"""

from __future__ import annotations

import re

from bonsai_edge.device_description import Isolation
from bonsai_edge_devices.cgroup import cpu_quota_cores
from bonsai_edge_devices.probes.cpuinfo import CpuInfo
from bonsai_edge_devices.root import Root

# A container, a file that it has, and what the file has to hold. The first that fits is the innermost.
_CONTAINERS = (
    ("kubernetes", "var/run/secrets/kubernetes.io/serviceaccount/namespace", ""),
    ("kubernetes", "proc/self/cgroup", r"/kubepods"),
    ("podman", "run/.containerenv", ""),
    ("podman", "proc/self/cgroup", r"/libpod-"),
    ("docker", ".dockerenv", ""),
    ("docker", "proc/self/cgroup", r"/docker[/-]"),
    ("docker", "proc/self/mountinfo", r"/docker/containers/\w+/resolv\.conf"),
    ("lxc", "run/systemd/container", r"^lxc"),
    ("lxc", "proc/self/cgroup", r"/lxc(\.payload)?[./]"),
    ("systemd-nspawn", "run/systemd/container", r"^systemd-nspawn"),
    ("proot", "proc/sys/kernel/osrelease", r"(?i)proot"),
    ("proot", "proc/version", r"(?i)proot"),
    ("termux", "data/data/com.termux/files/usr/bin/sh", ""),
)

# A hypervisor, a file, and what it has to hold.
_DMI_NAMES = (
    ("KVM", r"KVM|OpenStack|KubeVirt"),
    ("Amazon EC2", r"Amazon EC2"),
    ("QEMU", r"QEMU"),
    ("VMware", r"VMware|VMW"),
    ("VirtualBox", r"innotek GmbH|VirtualBox|Oracle Corporation"),
    ("Xen", r"Xen"),
    ("Bochs", r"Bochs"),
    ("Parallels", r"Parallels"),
    ("bhyve", r"BHYVE"),
    ("Hyper-V", r"Hyper-V"),
    ("Apple", r"Apple Virtualization"),
    ("Google Compute Engine", r"Google Compute Engine"),
)
_DMI_FIELDS = ("product_name", "sys_vendor", "board_vendor", "bios_vendor", "product_version")  # in systemd's order
_HYPERVISORS = (
    ("WSL", "proc/sys/kernel/osrelease", r"(?i)microsoft.*WSL"),
    *((name, f"sys/class/dmi/id/{field}", pattern) for field in _DMI_FIELDS for name, pattern in _DMI_NAMES),
    ("Xen", "sys/hypervisor/type", r"xen"),
    ("KVM", "proc/device-tree/hypervisor/compatible", r"linux,kvm"),
    ("Xen", "proc/device-tree/hypervisor/compatible", r"xen"),
    ("QEMU", "proc/device-tree/model", r"linux,dummy-virt"),
)


def probe_isolation(root: Root, info: CpuInfo) -> Isolation:
    """Return the innermost container, the hypervisor, and the share of the processors that is allowed."""
    hypervisor = _first(root, _HYPERVISORS)
    if hypervisor == "Amazon EC2" and ".metal" in (root.line("sys/class/dmi/id/product_name") or ""):
        hypervisor = None
    return Isolation(
        container=_first(root, _CONTAINERS),
        hypervisor=hypervisor or ("unknown" if info.is_virtual() else None),
        cpu_quota_cores=cpu_quota_cores(root),
    )


def _first(root: Root, traces: tuple[tuple[str, str, str], ...]) -> str | None:
    return next((name for name, path, pattern in traces if _holds(root, path, pattern)), None)


def _holds(root: Root, path: str, pattern: str) -> bool:
    if not pattern:
        return root.exists(path)
    if path.startswith("sys/class/dmi"):
        return re.match(pattern, root.line(path) or "") is not None
    return re.search(pattern, root.text(path) or "", re.MULTILINE) is not None
