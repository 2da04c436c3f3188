"""Finds and loads the library of kernels for this machine, and chooses the variant for its processor."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bonsai_edge.cpu_step.aligned import aligned_empty
from bonsai_edge.cpu_step.isa_choice import choose_isa
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.kv_cache import KVType
from bonsai_edge_mobile.targets import TARGETS, Target

LIBRARY_VARIABLE = "BONSAI_EDGE_KERNEL_LIBRARY"
"""The environment variable that names another library file, such as one inside an app."""

_INTERFACE = 1
_FOLDER = Path(__file__).with_name("lib")
_SYSTEMS = {"linux": "linux", "android": "linux", "darwin": "macos"}
_MACHINES = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_KV_TYPES = (KVType.F16, KVType.Q8, KVType.Q4)


class Kernels:
    """A loaded library and the variant that is used of it."""

    def __init__(self, path: Path) -> None:
        """Raise BackendUnavailableError if the file is not a library of this version or has no variant for here."""
        try:
            self._library = ctypes.CDLL(str(path))
            interface = self._library.bonsai_edge_interface()
        except (OSError, AttributeError) as exc:
            raise BackendUnavailableError(f"{path} cannot be loaded: {exc}.", _REMEDY) from exc
        if interface != _INTERFACE:
            raise BackendUnavailableError(f"{path} has interface {interface}, expected {_INTERFACE}.", _REMEDY)
        self.path = path
        self.version = self._text("bonsai_edge_version")
        self.step_signature = self._text("bonsai_edge_step_signature")
        names = [self._text("bonsai_edge_variant_name", i) for i in range(self._library.bonsai_edge_num_variants())]
        supported = [n for i, n in enumerate(names) if self._library.bonsai_edge_variant_is_supported(i)]
        self.isa = choose_isa(supported)
        self._variant = names.index(self.isa)
        self.table_tokens: int = self._library.bonsai_edge_table_tokens(self._variant)
        self.spare_tiles: int = self._library.bonsai_edge_spare_tiles(self._variant)
        self._run_step = self._library.bonsai_edge_run_step
        self._run_step.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64]
        self._run_step.restype = None

    def run_step(self, kv_type: KVType, arguments_at: int, num_threads: int, thread: int) -> None:
        """Run a thread's part of a step, without the GIL; see `bonsai_edge.cpu_step.arguments` for the table there."""
        self._run_step(self._variant, _KV_TYPES.index(kv_type), arguments_at, num_threads, thread)

    def multiply(self, packed: npt.NDArray[np.uint8], x: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return x float32 (num_tokens, num_columns) times a Q1_0 matrix uint8 (num_rows, row bytes), both contiguous.

        The result is float32 (num_tokens, num_rows).
        """
        (num_tokens, num_columns), num_rows = x.shape, len(packed)
        out = np.empty((num_tokens, num_rows), np.float32)
        workspace = aligned_empty((self.workspace_bytes(num_columns, num_tokens),), np.uint8)
        int64 = ctypes.c_int64
        self._library.bonsai_edge_multiply(
            self._variant, ctypes.c_void_p(packed.ctypes.data), int64(num_rows), int64(num_columns),
            ctypes.c_void_p(x.ctypes.data), int64(num_tokens), ctypes.c_void_p(out.ctypes.data), int64(num_rows),
            ctypes.c_void_p(workspace.ctypes.data),
        )  # fmt: skip
        return out

    def workspace_bytes(self, num_columns: int, num_tokens: int) -> int:
        """Return how much memory a product works with."""
        function = self._library.bonsai_edge_workspace_bytes
        function.restype = ctypes.c_size_t
        found: int = function(self._variant, ctypes.c_int64(num_columns), ctypes.c_int64(num_tokens))
        return found

    def _text(self, name: str, *arguments: int) -> str:
        function = self._library[name]
        function.restype = ctypes.c_char_p
        found: bytes = function(*arguments)
        return found.decode()


_REMEDY = "Build it anew on a machine with Numba: `bonsai-edge kernels build`."


@cache
def load_kernels() -> Kernels:
    """Load the library for this machine, once; raises BackendUnavailableError if there is none or it does not fit."""
    return Kernels(library_path())


def library_path() -> Path:
    """Return the file that LIBRARY_VARIABLE names or that lies in this package for this machine.

    Raises BackendUnavailableError if there is none.
    """
    named = os.environ.get(LIBRARY_VARIABLE)
    if named:
        return Path(named).expanduser().absolute()
    target = this_target()
    if target is None:
        raise BackendUnavailableError(
            f"No kernels are made for {sys.platform} on {platform.machine()}.",
            f"There are some for {', '.join(TARGETS)}.",
        )
    path = _FOLDER / target.library
    if not path.exists():
        raise BackendUnavailableError(
            f"This installation has no kernels for {target.name}.",
            f"Build them on a machine with Numba: `bonsai-edge kernels build --target {target.name}`.",
        )
    return path


def this_target() -> Target | None:
    """Return the target that this process needs a library of; None if there is none."""
    system, machine = _SYSTEMS.get(sys.platform), _MACHINES.get(platform.machine().lower())
    return TARGETS.get(f"{system}-{machine}")
