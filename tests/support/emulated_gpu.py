"""A GPU that is emulated on the processor, for `cuda.core` and everything above it.

The driver library is `emulated_libcuda.cpp`, the kernels are the backend's own, compiled for this processor by
`emulated_cuda`. What runs here on a real GPU's behalf is the code that runs on a real one, but for these two libraries.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

import emulated_cuda
from bonsai_edge_cuda.detection import Gpu
from bonsai_edge_cuda.plugin import CudaBackend

_SOURCE = Path(__file__).with_name("emulated_libcuda.cpp")
_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-shared", "-Wall", "-Wextra", "-Werror")


class EmulatedLibcuda:
    """The driver library, with the emulated kernels behind it."""

    def __init__(self, path: Path, kernels: Path) -> None:
        self.path = str(path)
        self._library = ctypes.CDLL(self.path)
        self._kernels = ctypes.CDLL(str(kernels))
        self._library.emulated_set_kernels(self._kernels.bonsai_launch, self._kernels.bonsai_num_arguments)

    def kernel_names(self) -> list[str]:
        """Return the names of all kernels."""
        names = self._kernels.bonsai_kernel_names
        names.restype = ctypes.c_char_p
        return list(names().decode().split())

    @property
    def allocated_bytes(self) -> int:
        """Memory of the device that is in use."""
        allocated = self._library.emulated_allocated
        allocated.restype = ctypes.c_size_t
        return int(allocated())

    @property
    def num_overlapping(self) -> int:
        """How many launches asked for programmatic dependent launch."""
        return int(self._library.emulated_overlapping())

    def set_memory(self, num_bytes: int) -> None:
        """Say how much memory the device has."""
        self._library.emulated_set_memory(ctypes.c_size_t(num_bytes))

    def set_integrated(self, is_integrated: bool) -> None:
        """Say whether the device has the memory of the machine, as a Jetson has, and not its own."""
        self._library.emulated_set_integrated(int(is_integrated))


class EmulatedCudaBackend(CudaBackend):
    """The CUDA backend on the emulated GPU."""

    def __init__(self) -> None:
        super().__init__(emulated_libcuda().path)

    def _code(self, gpu: Gpu) -> list[bytes]:
        """Return code in which each kernel is found by its name: compiling the real one takes a minute."""
        return [b"\x7fELF" + b"".join(f".text.{name}\0".encode() for name in emulated_libcuda().kernel_names())]


@functools.cache
def emulated_libcuda() -> EmulatedLibcuda:
    """Return the library, compiled once for each state of its source, as the one that `cuda.core` loads from now on.

    Skips the test where something that it needs is missing.
    """
    if shutil.which("g++") is None:
        assert "CI" not in os.environ, "CI must have g++"
        pytest.skip("g++ is not installed")
    driver = pytest.importorskip("cuda.bindings._internal.driver", reason="cuda-bindings is not installed")
    pathfinder = pytest.importorskip("cuda.pathfinder", reason="cuda-pathfinder is not installed")
    library = EmulatedLibcuda(_build(), emulated_cuda.build("bit planes"))

    def load(name: str) -> object:
        assert name == "cuda", name
        handle = ctypes.CDLL(library.path)._handle
        return pathfinder.LoadedDL(library.path, False, handle, "emulated")

    driver.load_nvidia_dynamic_lib = load
    if pytest.importorskip("cuda.core").Device(0).name != "Emulated GPU":
        pytest.skip("a real GPU is in use in this process")
    return library


def _build() -> Path:
    digest = hashlib.sha256(repr(_FLAGS).encode() + _SOURCE.read_bytes()).hexdigest()[:16]
    path = emulated_cuda.cache_folder() / f"libcuda-{digest}.so"
    if not path.exists():
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            built = Path(folder) / path.name
            subprocess.run(["g++", *_FLAGS, "-o", str(built), str(_SOURCE), "-ldl"], check=True, timeout=120)
            built.replace(path)
    return path
