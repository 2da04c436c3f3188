"""Keeps compiled kernels on disk, where the next process finds them.

A folder holds the kernels of one version: it is named by a hash of all that becomes part of the code, below it there is
one for each instruction set, and Numba adds the name and the features of the processor to the key of each kernel.
Nothing depends on where the sources lie or when they were written, so a folder may be filled on another machine and
mounted read-only. It holds machine code: who may write to it may run code in the processes that read it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import sys
import time
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import FunctionType
from typing import Any

import llvmlite
import numba
from numba import config
from numba.core.caching import CompileResultCacheImpl, FunctionCache, _CacheLocator
from numba.core.registry import cpu_target
from platformdirs import user_cache_path

from bonsai_edge import kv_cache, rope
from bonsai_edge.cpu_step import kv_pages, tables, workspace
from bonsai_edge.formats import ggml_types
from bonsai_edge.progress import progress
from bonsai_edge_cpu.isa.selection import selected_isa

logger = logging.getLogger(__name__)

CACHE_VARIABLE = "BONSAI_EDGE_KERNEL_CACHE"
"""The environment variable that names another directory for compiled kernels; it may be read-only."""

_VERSION_FOLDER = re.compile(r"bonsai-kernels-[0-9a-f]{16}")
_OTHER_VERSIONS_KEPT = 4  # other environments of this user may run them
_HOUR_S = 3600.0

_compiled_names: list[str] = []
_write_failures: list[OSError] = []


@cache
def kernel_folder() -> Path | None:
    """Return the folder of this version's kernels, which need not exist; None if there is no home directory.

    It lies in the directory of CACHE_VARIABLE, in `kernels` below NUMBA_CACHE_DIR, or in the user's cache.
    """
    chosen = os.environ.get(CACHE_VARIABLE)
    try:
        if chosen:
            root = Path(chosen).expanduser()
        elif config.CACHE_DIR:
            root = Path(config.CACHE_DIR) / "kernels"
        else:
            root = user_cache_path("bonsai-edge").expanduser() / "kernels"
    except RuntimeError as exc:
        logger.warning("%s Each start compiles the kernels; %s can name a folder for them.", exc, CACHE_VARIABLE)
        return None
    version = root.absolute() / f"bonsai-kernels-{version_hash()}"
    _note_use(version)
    return version / selected_isa().name


def compiled_names() -> tuple[str, ...]:
    """Return the functions that this process has compiled because the cache did not have them."""
    return tuple(_compiled_names)


def write_failure() -> OSError | None:
    """Return why something that this process compiled could not be kept; None if all was."""
    return _write_failures[0] if _write_failures else None


def version_hash() -> str:
    """Return a hash of the sources of this package, those of core that become part of the results, and the compiler."""
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__}".encode())
    core_parts = [Path(str(module.__file__)) for module in (kv_cache, ggml_types, rope, kv_pages, tables, workspace)]
    for source in [*sorted(Path(__file__).parent.rglob("*.py")), *core_parts]:
        digest.update(source.name.encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


class KernelCache(FunctionCache):  # type: ignore[misc]
    """The cache of one function.

    What a power cut or a full disk left there is compiled anew; what cannot be kept is compiled by each process.
    """

    def holds(self, argument_class: type) -> bool:
        """Return whether code for this processor is kept that takes a named tuple of this class."""
        try:
            kept = list(self._cache_file._load_index())
        except Exception:
            logger.warning("The index of %s cannot be read.", self.cache_path, exc_info=True)
            return False
        processor = cpu_target.target_context.codegen().magic_tuple()
        return any(
            made_for == processor and argument_class in [getattr(argument, "instance_class", None) for argument in sig]
            for sig, made_for, _ in kept
        )

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled function, or None after saying that it is going to be compiled."""
        try:
            found = super().load_overload(sig, target_context)
        except Exception:
            logger.warning(
                "A compiled kernel in %s cannot be read and is compiled again.", self.cache_path, exc_info=True
            )
            found = None
        if found is None:
            _announce_compilation()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function; what goes wrong is logged and never fatal."""
        _compiled_names.append(self._py_func.__qualname__)
        try:
            self._save_over_damage(sig, data)
        except OSError as exc:
            if not _write_failures:
                logger.warning("Compiled kernels cannot be kept, and each start compiles them again: %s.", exc)
            _write_failures.append(exc)
        except Exception:
            logger.warning("A compiled kernel cannot be kept in %s.", self.cache_path, exc_info=True)

    def _save_over_damage(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError:
            raise
        except Exception:
            logger.info("The index of %s is written anew.", self.cache_path, exc_info=True)
            self.flush()
            super().save_overload(sig, data)


class _Locator(_CacheLocator):  # type: ignore[misc]
    """Says where a function's kernels lie, by its module's name and the content of its source, not by its path."""

    def __init__(self, function: FunctionType, folder: Path) -> None:
        self._py_file = function.__code__.co_filename  # for Numba's warnings
        self._line = function.__code__.co_firstlineno
        self._path = folder / function.__module__

    def ensure_cache_path(self) -> None:
        """Make the folder; with the first of a version the oldest others go."""
        version = self._path.parent.parent
        is_new = not version.exists()
        self._path.mkdir(parents=True, exist_ok=True)
        if is_new:
            _remove_old_versions(version)

    def get_cache_path(self) -> str:
        return str(self._path)

    def get_source_stamp(self) -> str:
        return _file_hash(self._py_file)

    def get_disambiguator(self) -> str:
        return str(self._line)


class _Impl(CompileResultCacheImpl):  # type: ignore[misc]
    def __init__(self, function: FunctionType) -> None:
        folder = kernel_folder()
        assert folder is not None, "a function without a folder gets no cache"
        self._lineno = function.__code__.co_firstlineno
        self._locator = _Locator(function, folder)
        self._filename_base = self.get_filename_base(function.__qualname__, sys.abiflags)


KernelCache._impl_class = _Impl


@cache
def _announce_compilation() -> None:
    progress.info(
        "Compiling the CPU kernels for %s, once: about twenty seconds on a server, longer on a small board.",
        selected_isa().name,
    )


def _remove_old_versions(kept: Path) -> None:
    """Remove all but the last used of the other versions' folders; what another process removes first is fine."""
    others = [
        folder
        for folder in kept.parent.iterdir()
        if folder != kept and _VERSION_FOLDER.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink()
    ]
    for folder in sorted(others, key=_last_used, reverse=True)[_OTHER_VERSIONS_KEPT:]:
        logger.info("The kernels of another version in %s are removed.", folder)
        shutil.rmtree(folder, ignore_errors=True)


def _last_used(version: Path) -> float:
    try:
        return version.stat().st_mtime
    except OSError:
        return 0.0


def _note_use(version: Path) -> None:
    """Date a folder to now, so that the versions in use are the last to be removed; at most once an hour."""
    if 0.0 < _last_used(version) < time.time() - _HOUR_S:
        with suppress(OSError):  # read-only: nobody will remove it either
            os.utime(version)


@cache
def _file_hash(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
