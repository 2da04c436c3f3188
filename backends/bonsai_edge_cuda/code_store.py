"""Where compiled kernels come from: this package, the user's cache, or NVRTC, in this order.

A cubin is code for one architecture, and the driver of every later minor version of the same major one loads it. What
lies in the cache is named by the hash of everything that it was made from, and begins with a hash of itself, so that a
damaged file is compiled anew. It holds code: who may write to it may run code on the GPU in the name of its user.
"""

from __future__ import annotations

import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path

from platformdirs import user_cache_path

from bonsai_edge.backend import WarmReport
from bonsai_edge.errors import BackendUnavailableError

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "BONSAI_EDGE_KERNEL_CACHE"
"""The environment variable that names another directory for compiled kernels, those of all backends."""

BUILT_ARCHITECTURES = ((8, 0), (8, 6), (8, 7), (8, 9), (9, 0), (10, 0), (12, 0))
"""The compute capabilities that cubins are built for."""

CUBINS = Path(__file__).with_name("cubins")
KERNELS = Path(__file__).with_name("kernels")

_DIGEST_BYTES = hashlib.sha256().digest_size


def architecture_name(capability: tuple[int, int]) -> str:
    """Return the compiler's name of an architecture, such as sm_87."""
    return f"sm_{capability[0]}{capability[1]}"


def built_architecture(capability: tuple[int, int]) -> tuple[int, int] | None:
    """Return the best of the built architectures for a GPU; None if the code of none of them runs on it."""
    return max((each for each in BUILT_ARCHITECTURES if each[0] == capability[0] and each <= capability), default=None)


def translation_units() -> list[str]:
    """Return the names of the files that are compiled, each alone."""
    return sorted(path.stem for path in KERNELS.glob("*.cu"))


@cache
def source_hash() -> str:
    """Return a hash of all sources of kernels."""
    digest = hashlib.sha256()
    for path in sorted([*KERNELS.glob("*.cu"), *KERNELS.glob("*.cuh")]):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def find_code(capability: tuple[int, int]) -> dict[str, bytes]:
    """Return a cubin for each translation unit; raises BackendUnavailableError with what to install.

    What has to be compiled is kept on disk.
    """
    built = built_architecture(capability)
    shipped = None if built is None else shipped_code(built)
    if shipped is not None:
        return shipped
    return cached_code(capability) or compile_and_keep(capability)


def shipped_code(capability: tuple[int, int], folder: Path = CUBINS) -> dict[str, bytes] | None:
    """Return what this package has for an architecture; None if that is nothing, or of other sources."""
    try:
        if (folder / "source_hash").read_text().strip() != source_hash():
            logger.info("The cubins of this package are of other sources and are left alone.")
            return None
        architecture = folder / architecture_name(capability)
        return {unit: (architecture / f"{unit}.cubin").read_bytes() for unit in translation_units()}
    except OSError:
        return None


def cache_folder() -> Path | None:
    """Return the folder of these sources' compiled kernels, which need not exist; None if there is no home directory.

    It lies in the directory of CACHE_VARIABLE or in the user's cache, beside those of other backends.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    try:
        root = Path(chosen).expanduser() if chosen else user_cache_path("bonsai-edge").expanduser() / "kernels"
    except RuntimeError as exc:
        logger.warning("%s Each start compiles the kernels; %s can name a folder for them.", exc, CACHE_VARIABLE)
        return None
    return root.absolute() / f"bonsai-cuda-{source_hash()}"


def cached_code(capability: tuple[int, int]) -> dict[str, bytes] | None:
    """Return what the cache has for an architecture; None if a part is missing or damaged."""
    found: dict[str, bytes] = {}
    for unit in translation_units():
        path = _cache_file(capability, unit)
        content = b"" if path is None else _read(path)
        digest, code = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if hashlib.sha256(code).digest() != digest:
            return None
        found[unit] = code
    return found


def compile_and_keep(capability: tuple[int, int]) -> dict[str, bytes]:
    """Compile all kernels for an architecture and keep them; raises BackendUnavailableError.

    What cannot be written is compiled again by the next process.
    """
    from bonsai_edge_cuda.compiler import compile_kernels  # noqa: PLC0415  (loads NVRTC, which most never need)

    code = compile_kernels(capability)
    try:
        keep(capability, code)
    except OSError as exc:
        logger.warning("Compiled kernels cannot be kept, and each start compiles them again: %s.", exc)
    return code


def warm(capability: tuple[int, int]) -> WarmReport | None:
    """Compile and keep what `find_code` would have to compile; None if this package has code for the architecture.

    Raises BackendUnavailableError, and OSError if it cannot be written.
    """
    built = built_architecture(capability)
    if built is not None and shipped_code(built) is not None:
        return None
    folder = cache_folder()
    if folder is None:
        raise BackendUnavailableError(
            "There is no home directory to keep compiled kernels in.", f"Name a folder in {CACHE_VARIABLE}."
        )
    code = cached_code(capability)
    compiled: tuple[str, ...] = ()
    if code is None:
        from bonsai_edge_cuda.compiler import compile_kernels  # noqa: PLC0415  (loads NVRTC)

        code = compile_kernels(capability)
        keep(capability, code)
        compiled = tuple(code)
    return WarmReport(architecture_name(capability), folder, compiled, sum(map(len, code.values())))


def keep(capability: tuple[int, int], code: Mapping[str, bytes]) -> None:
    """Write compiled kernels to the cache, each file as a whole; raises OSError."""
    for unit, cubin in code.items():
        path = _cache_file(capability, unit)
        if path is None:
            raise OSError("there is no home directory")
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(cubin).digest() + cubin)
            Path(unfinished).replace(path)
        except OSError:
            with suppress(OSError):
                Path(unfinished).unlink()
            raise


def _cache_file(capability: tuple[int, int], unit: str) -> Path | None:
    folder = cache_folder()
    return None if folder is None else folder / architecture_name(capability) / unit


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def no_compiler(capability: tuple[int, int], reason: str) -> BackendUnavailableError:
    """Return the error for a GPU that there is neither code nor a compiler for."""
    return BackendUnavailableError(
        f"This package has no kernels for {architecture_name(capability)}, and NVRTC cannot compile them ({reason}).",
        "Run: pip install 'bonsai-edge[cuda-compiler]'.",
    )
