"""The operating system, and on a Jetson the release of NVIDIA's."""

from __future__ import annotations

import re

from bonsai_edge.device_description import System
from bonsai_edge_devices.probes.board import android_properties
from bonsai_edge_devices.root import Root

# Jetson Linux to JetPack: https://developer.nvidia.com/embedded/jetpack-archive
_JETPACKS = {
    "32.1": "4.2",
    "32.2": "4.2.1",
    "32.2.1": "4.2.2",
    "32.2.3": "4.2.3",
    "32.3.1": "4.3",
    "32.4.3": "4.4",
    "32.4.4": "4.4.1",
    "32.5": "4.5",
    "32.5.1": "4.5.1",
    "32.6.1": "4.6",
    "32.7.1": "4.6.1",
    "32.7.2": "4.6.2",
    "32.7.3": "4.6.3",
    "32.7.4": "4.6.4",
    "32.7.5": "4.6.5",
    "32.7.6": "4.6.6",
    "35.1": "5.0.2",
    "35.2.1": "5.1",
    "35.3.1": "5.1.1",
    "35.4.1": "5.1.2",
    "35.5": "5.1.3",
    "35.6": "5.1.4",
    "35.6.1": "5.1.5",
    "36.3": "6.0",
    "36.4": "6.1",
    "36.4.3": "6.2",
    "36.4.4": "6.2.1",
    "36.5": "6.2.2",
    "36.5.2": "6.2.3",
    "38.2": "7.0",
    "38.2.1": "7.0",
    "38.4": "7.1",
    "39.2": "7.2",
    "39.2.1": "7.2.1",
}


def probe_system(root: Root) -> System:
    """Return versions and word sizes."""
    android = android_properties(root).get("ro.build.version.release")
    l4t = _l4t(root)
    bits, page_bytes = root.output("getconf", "LONG_BIT"), root.output("getconf", "PAGESIZE")
    return System(
        os=_distribution(root) or (f"Android {android}" if android else None),
        kernel=root.line("proc/sys/kernel/osrelease") or root.output("uname", "-r"),
        machine=root.output("uname", "-m"),
        bits=int(bits) if bits in ("32", "64") else None,
        page_bytes=int(page_bytes) if page_bytes and re.fullmatch(r"\d{4,8}", page_bytes) else None,
        l4t=l4t,
        jetpack=_JETPACKS.get(l4t) if l4t else None,
        android=android,
    )


def _distribution(root: Root) -> str | None:
    release = root.text("etc/os-release") or root.text("usr/lib/os-release") or ""
    name = re.search(r'^PRETTY_NAME="?([^"\n]{1,200})"?$', release, re.MULTILINE)
    return name[1] if name else None


def _l4t(root: Root) -> str | None:
    """Return the release of Jetson Linux, from a line such as "# R36 (release), REVISION: 4.3, GCID: ..."."""
    line = root.text("etc/nv_tegra_release") or ""
    match = re.match(r"# R(\d{1,3}) \(release\), REVISION: (\d{1,3}(?:\.\d{1,3})*)", line)
    return re.sub(r"(\.0)+$", "", f"{match[1]}.{match[2]}") if match else None
