"""Asks NVIDIA's driver library which GPU is here, without any other library: why there is none is worth knowing too.

The functions are those of the CUDA driver API, https://docs.nvidia.com/cuda/cuda-driver-api/
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

DRIVER_LIBRARY = "libcuda.so.1"

LEAST_COMPUTE_CAPABILITY = (8, 0)  # Ampere: the first whose tensor cores multiply bits in tiles of 16 x 8 x 128
_LEAST_CUDA = (12, 0)  # of the driver: the oldest that loads what CUDA 12 has compiled

_SUCCESS, _NO_DEVICE = 0, 100
_MULTIPROCESSORS, _INTEGRATED, _CC_MAJOR, _CC_MINOR = 16, 18, 75, 76  # enum CUdevice_attribute

_PCI_DEVICES = Path("sys/bus/pci/devices")
_NVIDIA, _DISPLAY_CLASS = "0x10de", "0x03"  # https://pci-ids.ucw.cz


@dataclass(frozen=True)
class Gpu:
    """The first GPU that CUDA sees; CUDA_VISIBLE_DEVICES chooses another.

    `cuda_version` is what the driver supports. One that is `is_integrated` has the memory of the machine, not its own.
    """

    name: str
    compute_capability: tuple[int, int]
    num_multiprocessors: int
    total_memory_bytes: int
    is_integrated: bool
    cuda_version: tuple[int, int]

    @property
    def unsuitability(self) -> str | None:
        """Why the kernels cannot run on it and what to do, None if they can."""
        if self.compute_capability < LEAST_COMPUTE_CAPABILITY:
            least = _dotted(LEAST_COMPUTE_CAPABILITY)
            return (
                f"{self.name} has compute capability {_dotted(self.compute_capability)}, and the kernels need {least} "
                f"(Ampere) or newer: use the CPU backend."
            )
        if self.cuda_version < _LEAST_CUDA:
            return (
                f"The driver of {self.name} supports CUDA {_dotted(self.cuda_version)}, and {_dotted(_LEAST_CUDA)} is "
                f"needed: update the driver (on a Jetson: JetPack 6), or use the CPU backend."
            )
        return None

    def facts(self) -> dict[str, str]:
        """Return what `bonsai-edge backends` says of it."""
        return {
            "device": self.name,
            "compute_capability": _dotted(self.compute_capability),
            "memory_bytes": str(self.total_memory_bytes),
            "memory": "shared with the processor" if self.is_integrated else "its own",
            "driver_cuda": _dotted(self.cuda_version),
        }


@dataclass(frozen=True)
class NoGpu:
    """Why no GPU can be asked; `has_hardware` tells whether the machine has one all the same."""

    reason: str
    has_hardware: bool


def find_gpu(library: str = DRIVER_LIBRARY, root: Path = Path("/")) -> Gpu | NoGpu:
    """Return the GPU, or why there is none; `root` is where the files of the machine lie."""
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return _without_driver(library, root)
    call = _caller(driver)
    try:
        call("cuInit", ctypes.c_uint(0))
        count = _integer(call, "cuDeviceGetCount")
        if count == 0:
            return NoGpu(_hidden("The NVIDIA driver sees no GPU"), has_hardware=False)
        return _describe(call)
    except _DriverError as exc:
        if exc.status == _NO_DEVICE:
            return NoGpu(_hidden("The NVIDIA driver sees no GPU"), has_hardware=False)
        return NoGpu(
            f"The NVIDIA driver does not start ({exc}): restart the machine, or reinstall the driver.",
            has_hardware=True,
        )


class _DriverError(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def _caller(driver: ctypes.CDLL) -> Callable[..., None]:
    def call(name: str, *arguments: object) -> None:
        try:
            status: int = getattr(driver, name)(*arguments)
        except AttributeError:
            raise _DriverError(-1, f"{name} is missing in {DRIVER_LIBRARY}") from None
        if status != _SUCCESS:
            raise _DriverError(status, _message(driver, name, status))

    return call


def _message(driver: ctypes.CDLL, name: str, status: int) -> str:
    text = ctypes.c_char_p()
    driver.cuGetErrorString(ctypes.c_int(status), ctypes.byref(text))
    return f"{name}: {text.value.decode(errors='replace') if text.value else 'unknown error'}, {status}"


def _describe(call: Callable[..., None]) -> Gpu:
    device = ctypes.c_int()
    call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(0))
    name = ctypes.create_string_buffer(256)
    call("cuDeviceGetName", name, ctypes.c_int(len(name)), device)
    memory = ctypes.c_size_t()
    call("cuDeviceTotalMem_v2", ctypes.byref(memory), device)

    def attribute(number: int) -> int:
        value = ctypes.c_int()
        call("cuDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(number), device)
        return value.value

    version = _integer(call, "cuDriverGetVersion")
    return Gpu(
        name=name.value.decode(errors="replace"),
        compute_capability=(attribute(_CC_MAJOR), attribute(_CC_MINOR)),
        num_multiprocessors=attribute(_MULTIPROCESSORS),
        total_memory_bytes=memory.value,
        is_integrated=bool(attribute(_INTEGRATED)),
        cuda_version=(version // 1000, version % 1000 // 10),
    )


def _integer(call: Callable[..., None], name: str) -> int:
    value = ctypes.c_int()
    call(name, ctypes.byref(value))
    return value.value


def _hidden(reason: str) -> str:
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    return f"{reason}." if chosen is None else f"{reason}; CUDA_VISIBLE_DEVICES is {chosen!r}."


def _without_driver(library: str, root: Path) -> NoGpu:
    gpu = _nvidia_pci_device(root)
    if gpu is not None:
        return NoGpu(f"There is an NVIDIA GPU (PCI {gpu}), but no driver ({library}): install NVIDIA's driver.", True)
    return NoGpu(f"No NVIDIA driver ({library}) is here, and no NVIDIA GPU was found.", False)


def _nvidia_pci_device(root: Path) -> str | None:
    try:
        devices = sorted((root / _PCI_DEVICES).iterdir())
    except OSError:
        return None
    for device in devices:
        if _read(device / "vendor") == _NVIDIA and _read(device / "class").startswith(_DISPLAY_CLASS):
            return device.name
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _dotted(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"
