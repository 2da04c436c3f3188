"""Graphics processors, by the drivers that hold them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bonsai_edge.device_description import Gpu
from bonsai_edge_devices.root import Root

_TEGRAS = {  # https://developer.nvidia.com/embedded/jetson-modules
    "nvidia,tegra210": "Maxwell",
    "nvidia,tegra186": "Pascal",
    "nvidia,tegra194": "Volta",
    "nvidia,tegra234": "Ampere",
    "nvidia,tegra264": "Blackwell",
}
_TEGRA_CLOCK = re.compile(r"([0-9a-f]+\.)?(gpu|gm20b|gp10b|gv11b|ga10b)|gpu-gpc-0")  # Nano to Orin, Thor
_PLATFORM_DRIVERS = {
    "v3d": ("Broadcom", "VideoCore VI or VII"),
    "vc4-drm": ("Broadcom", "VideoCore IV"),
    "panfrost": ("Arm", "Mali"),
    "panthor": ("Arm", "Mali"),
    "lima": ("Arm", "Mali-400"),
    "msm": ("Qualcomm", "Adreno"),
    "msm_drm": ("Qualcomm", "Adreno"),
    "asahi": ("Apple", None),
}
_PCI_VENDORS = {
    "0x1002": "AMD",
    "0x10de": "NVIDIA",
    "0x8086": "Intel",
    "0x1234": "QEMU",
    "0x1414": "Hyper-V",
    "0x15ad": "VMware",
    "0x1af4": "virtio",
    "0x1b36": "QEMU",
    "0x80ee": "VirtualBox",
}
_INTEL_INTEGRATED_SLOT = "0000:00:02.0"  # where the graphics of every Intel processor are


def probe_gpus(root: Root, compatible: Iterable[str]) -> tuple[Gpu, ...]:
    """Return the GPUs; `compatible` is the device tree's list, by which a Jetson is known."""
    nvidia = _tegra(root, compatible) or _nvidia(root)
    others = [gpu for gpu in _drm(root) if not (nvidia and gpu.vendor == "NVIDIA")]
    return (*nvidia, *(others or _android(root)))


def _tegra(root: Root, compatible: Iterable[str]) -> list[Gpu]:
    architecture = next((_TEGRAS[name] for name in compatible if name in _TEGRAS), None)
    if architecture is None:
        return []
    clocks = [path for path in root.names("sys/class/devfreq") if _TEGRA_CLOCK.fullmatch(path.rpartition("/")[2])]
    hz = [root.integer(f"{path}/max_freq", 1, 20_000_000_000) for path in clocks]
    return [
        Gpu(
            name=architecture,
            vendor="NVIDIA",
            driver_version=_nvidia_version(root),
            integrated=True,
            max_clock_hz=max(filter(None, hz), default=None),
        )
    ]


def _nvidia(root: Root) -> list[Gpu]:
    """Read what NVIDIA's own driver tells."""
    version = _nvidia_version(root)
    information = [root.text(f"{path}/information") or "" for path in root.names("proc/driver/nvidia/gpus")]
    models = [re.search(r"^Model:\s*(\S.{0,100})$", text, re.MULTILINE) for text in information]
    return [
        Gpu(
            name=model[1].strip() if model else None,
            vendor="NVIDIA",
            driver="nvidia",
            driver_version=version,
            integrated=False,
        )
        for model in models
    ]


def _nvidia_version(root: Root) -> str | None:
    match = re.search(r"Kernel Module(?: for \S+)?\s+(\d[\d.]{1,20})", root.text("proc/driver/nvidia/version") or "")
    return match[1] if match else None


def _drm(root: Root) -> list[Gpu]:
    """Read what the kernel's own drivers tell; those that only drive a display are left out."""
    gpus = []
    for card in root.names("sys/class/drm", "card*"):
        if re.fullmatch(r"card\d+", card.rpartition("/")[2]):
            device = f"{card}/device"
            facts = dict(re.findall(r"^(\w{1,40})=(.{1,200})$", root.text(f"{device}/uevent") or "", re.MULTILINE))
            driver = facts.get("DRIVER")
            vendor = _PCI_VENDORS.get(root.line(f"{device}/vendor") or "")
            if vendor:
                mhz = root.integer(f"{card}/gt_RP0_freq_mhz", 1, 20_000)
                gpus.append(
                    Gpu(
                        name=root.line(f"{device}/product_name"),
                        vendor=vendor,
                        driver=driver,
                        integrated=True if facts.get("PCI_SLOT_NAME") == _INTEL_INTEGRATED_SLOT else None,
                        memory_bytes=root.integer(f"{device}/mem_info_vram_total"),
                        max_clock_hz=mhz * 1_000_000 if mhz else None,
                    )
                )
            elif driver in _PLATFORM_DRIVERS:
                maker, name = _PLATFORM_DRIVERS[driver]
                gpus.append(Gpu(name=name, vendor=maker, driver=driver, integrated=True))
    # A Raspberry Pi has a driver for computing and one for the display, both of the same GPU.
    return [gpu for gpu in gpus if gpu.driver != "vc4-drm"] or gpus


def _android(root: Root) -> list[Gpu]:
    """Read what the makers' drivers of phones tell, where apps may read it."""
    adreno = root.line("sys/class/kgsl/kgsl-3d0/gpu_model")
    mali = root.line("sys/class/misc/mali0/device/gpuinfo")  # "Mali-G710 7 cores r0p0 0xA8620700"
    found = [("Qualcomm", adreno, "kgsl"), ("Arm", (mali or "").split(" ")[0], "mali")]
    return [Gpu(name=name, vendor=vendor, driver=driver, integrated=True) for vendor, name, driver in found if name]
