"""Compiles the CUDA kernels for this processor and launches them, as the driver would, on memory of this process.

The sources are those of the backend; `cuda_emulator/` beside this file gives CUDA's words their meaning.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Literal

import numpy as np

DotMethod = Literal["bit planes", "dp4a"]

KERNELS = Path(str(files("bonsai_edge_cuda") / "kernels"))
SANITIZED = "BONSAI_EDGE_SANITIZED_CUDA"
_EMULATOR = Path(__file__).with_name("cuda_emulator")
# Without checks of the stack, which change of fibres confuse; what threads share lies in globals and on the heap.
_SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "--param=asan-stack=0", "-g")
_FLAGS = ("-std=c++17", "-O2", "-fPIC", "-ffp-contract=off", "-Wall", "-Wextra", "-Wno-unknown-pragmas")
_METHOD_DEPENDS = ("matvec.cu",)


class EmulatedDevice:
    """A library of kernels; pointers of a launch are NumPy arrays, whose memory it takes as the device's."""

    def __init__(self, library: Path) -> None:
        self._library = ctypes.CDLL(str(library))
        self._library.bonsai_launch.restype = ctypes.c_char_p
        self._library.bonsai_kernel_names.restype = ctypes.c_char_p
        self._library.bonsai_num_arguments.restype = ctypes.c_int

    def kernel_names(self) -> list[str]:
        """Return the names of all kernels."""
        return self._library.bonsai_kernel_names().decode().split()

    def launch(self, name: str, grid: Sequence[int], block: int, *arguments: object) -> None:
        """Run a kernel to its end.

        Arrays are passed by address, None as a null pointer, int and float as C's; ctypes values as they are.
        Raises RuntimeError for what the driver would refuse.
        """
        expected = self._library.bonsai_num_arguments(name.encode())
        if expected not in (-1, len(arguments)):
            raise RuntimeError(f"{name} takes {expected} arguments, not {len(arguments)}.")
        values = [_as_ctypes(argument) for argument in arguments]
        addresses = (ctypes.c_void_p * len(values))(*[ctypes.addressof(value) for value in values])
        failure = self._library.bonsai_launch(name.encode(), *[*grid, 1, 1][:3], block, addresses)
        if failure is not None:
            raise RuntimeError(f"{name}: {failure.decode()}")


@functools.cache
def emulated_device(method: DotMethod = "bit planes") -> EmulatedDevice:
    """Return the device, compiled once for each state of the sources; with dp4a it has only the kernels that differ.

    With SANITIZED in the environment it is compiled with sanitizers, whose library the process must have preloaded.
    """
    return EmulatedDevice(build(method, sanitized=SANITIZED in os.environ))


def build(method: DotMethod, sanitized: bool = False) -> Path:
    """Compile the library if it is not there, and return its path.

    Raises RuntimeError with what the compiler said.
    """
    sources = sorted(_EMULATOR.glob("*.cpp")) + sorted(KERNELS.glob("*.cu"))
    if method == "dp4a":
        sources = [source for source in sources if source.suffix == ".cpp" or source.name in _METHOD_DEPENDS]
    flags = [*_FLAGS, "-DBONSAI_EMULATED", f"-DBONSAI_BIT_PLANES={int(method == 'bit planes')}"]
    flags += [f"-I{_EMULATOR}", f"-I{KERNELS}", *(_SANITIZERS if sanitized else ())]
    library = cache_folder() / f"kernels-{_fingerprint(flags)}.so"
    if not library.exists():
        with tempfile.TemporaryDirectory(dir=library.parent) as folder:
            objects = _compile(sources, flags, Path(folder))
            built = Path(folder) / library.name
            _run(["g++", "-shared", "-Wl,-Bsymbolic", *flags, "-o", str(built), *objects])
            built.replace(library)
    return library


def _compile(sources: Sequence[Path], flags: Sequence[str], folder: Path) -> list[str]:
    """Compile the files side by side, as many as there are processors, and return the object files."""
    objects = [str(folder / f"{source.name}.o") for source in sources]
    waiting = [
        ["g++", *flags, "-x", "c++", "-c", str(source), "-o", target]
        for source, target in zip(sources, objects, strict=True)
    ]
    running: list[subprocess.Popen[str]] = []
    while waiting or running:
        while waiting and len(running) < (os.cpu_count() or 1):
            running.append(subprocess.Popen(waiting.pop(), stderr=subprocess.PIPE, text=True))
        process = running.pop(0)
        _, errors = process.communicate()
        if process.returncode:
            for other in running:
                other.communicate()
            raise RuntimeError(f"g++ failed:\n{errors}")
    return objects


def _run(command: Sequence[str]) -> None:
    subprocess.run(command, check=True)


def _fingerprint(flags: Sequence[str]) -> str:
    digest = hashlib.sha256(repr(flags).encode())
    for source in sorted([*_EMULATOR.iterdir(), *KERNELS.iterdir()]):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def cache_folder() -> Path:
    """Return a folder of this user for libraries, each put there as a whole and under the hash of its sources."""
    folder = Path(tempfile.gettempdir()) / f"bonsai-edge-emulated-cuda-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise RuntimeError(f"{folder} belongs to somebody else.")
    return folder


def _as_ctypes(argument: object) -> ctypes._SimpleCData[object]:
    if isinstance(argument, np.ndarray):
        if not argument.flags.c_contiguous:
            raise ValueError("The device sees memory without gaps only.")
        return ctypes.c_void_p(argument.ctypes.data)
    if argument is None:
        return ctypes.c_void_p(None)
    if isinstance(argument, (int, np.integer)):
        return ctypes.c_int(int(argument))
    if isinstance(argument, float):
        return ctypes.c_float(argument)
    return argument
