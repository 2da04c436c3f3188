"""Traces of containers and hypervisors, one by one; whole machines are in tests/devices/machines."""

from pathlib import Path

import pytest

from bonsai_edge_devices.probes.cpuinfo import CpuInfo
from bonsai_edge_devices.probes.isolation import probe_isolation
from bonsai_edge_devices.root import Root

DOCKER_MOUNT = "710 700 259:2 /var/lib/docker/containers/0123abcd/resolv.conf /etc/resolv.conf rw - ext4 /dev/sda2 rw"


def machine(root: Path, files: dict[str, str]) -> Root:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Root(root)


@pytest.mark.parametrize(
    ("files", "container"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/user.slice/user-1000.slice"}, None),
        ({".dockerenv": ""}, "docker"),
        ({"proc/self/cgroup": "4:memory:/docker/0123abcd\n"}, "docker"),
        ({"proc/self/cgroup": "0::/system.slice/docker-0123abcd.scope\n"}, "docker"),
        ({"proc/self/cgroup": "0::/\n", "proc/self/mountinfo": DOCKER_MOUNT}, "docker"),
        ({"run/.containerenv": ""}, "podman"),
        ({"proc/self/cgroup": "0::/machine.slice/libpod-0123abcd.scope/container"}, "podman"),
        ({".dockerenv": "", "proc/self/cgroup": "0::/kubepods/burstable/pod0123/abcd"}, "kubernetes"),
        ({"var/run/secrets/kubernetes.io/serviceaccount/namespace": "default"}, "kubernetes"),
        ({"run/systemd/container": "lxc\n"}, "lxc"),
        ({"proc/self/cgroup": "4:memory:/lxc/web\n"}, "lxc"),
        ({"proc/self/cgroup": "0::/lxc.payload.web/.lxc\n"}, "lxc"),
        ({"run/systemd/container": "systemd-nspawn\n"}, "systemd-nspawn"),
        ({"proc/version": "Linux version 6.17.0-PRoot-Distro (proot@termux)"}, "proot"),
        ({"data/data/com.termux/files/usr/bin/sh": ""}, "termux"),
    ],
)
def test_containers(tmp_path: Path, files: dict[str, str], container: str | None) -> None:
    root = machine(tmp_path, files)
    assert probe_isolation(root, CpuInfo(root)).container == container


@pytest.mark.parametrize(
    ("files", "hypervisor"),
    [
        ({"sys/class/dmi/id/sys_vendor": "LENOVO"}, None),
        ({"sys/class/dmi/id/sys_vendor": "QEMU", "sys/class/dmi/id/product_name": "KVM Virtual Machine"}, "KVM"),
        ({"sys/class/dmi/id/sys_vendor": "QEMU"}, "QEMU"),
        ({"sys/class/dmi/id/sys_vendor": "VMware, Inc."}, "VMware"),
        ({"sys/class/dmi/id/sys_vendor": "innotek GmbH"}, "VirtualBox"),
        ({"sys/class/dmi/id/sys_vendor": "Xen"}, "Xen"),
        ({"sys/hypervisor/type": "xen"}, "Xen"),
        ({"sys/class/dmi/id/product_version": "Hyper-V UEFI Release v4.1"}, "Hyper-V"),
        ({"sys/class/dmi/id/product_name": "Apple Virtualization Generic Platform"}, "Apple"),
        ({"sys/class/dmi/id/product_name": "Google Compute Engine"}, "Google Compute Engine"),
        ({"sys/class/dmi/id/sys_vendor": "Amazon EC2", "sys/class/dmi/id/product_name": "t4g.small"}, "Amazon EC2"),
        ({"sys/class/dmi/id/sys_vendor": "Amazon EC2", "sys/class/dmi/id/product_name": "c7g.metal"}, None),
        ({"proc/sys/kernel/osrelease": "5.15.153.1-microsoft-standard-WSL2"}, "WSL"),
        ({"proc/device-tree/hypervisor/compatible": "linux,kvm\0"}, "KVM"),
        ({"proc/device-tree/model": "linux,dummy-virt\0"}, "QEMU"),
        ({"proc/cpuinfo": "processor : 0\nflags : fpu hypervisor avx2\n"}, "unknown"),
    ],
)
def test_hypervisors(tmp_path: Path, files: dict[str, str], hypervisor: str | None) -> None:
    root = machine(tmp_path, files)
    assert probe_isolation(root, CpuInfo(root)).hypervisor == hypervisor
