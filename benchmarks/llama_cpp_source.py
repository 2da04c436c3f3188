"""Fetches the source distribution of llama-cpp-python, whose llama.cpp has vocabularies and their test cases.

It lies in the folder that BONSAI_EDGE_PEER_CACHE names, or else in the user's cache.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import platformdirs

_PACKAGE = "llama-cpp-python"
_VERSION_IF_NOT_INSTALLED = "0.3.36"  # the first with Q1_0


def fetch_llama_cpp_source() -> Path:
    """Return the unpacked source of the installed llama-cpp-python, downloading it through pip the first time."""
    name = f"llama_cpp_python-{_version()}"
    cache = Path(os.environ.get("BONSAI_EDGE_PEER_CACHE") or platformdirs.user_cache_path("bonsai-edge") / "peer")
    source = cache / name
    if not source.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            _download(Path(scratch))
            with tarfile.open(Path(scratch) / f"{name}.tar.gz") as archive:
                archive.extractall(scratch, filter="data")
            (Path(scratch) / name).rename(source)
    return source


def qwen2_vocabulary() -> Path:
    """Return the vocabulary-only GGUF file of Qwen2, which Bonsai uses too."""
    return fetch_llama_cpp_source() / "vendor" / "llama.cpp" / "models" / "ggml-vocab-qwen2.gguf"


def _version() -> str:
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:
        return _VERSION_IF_NOT_INSTALLED


def _download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary=:all:", "--dest"]
    subprocess.run([*command, str(folder), f"{_PACKAGE}=={_version()}"], check=True)
