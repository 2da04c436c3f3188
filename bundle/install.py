#!/usr/bin/env python3
"""Installs bonsai-edge from the files beside this one, without any network: `python3 install.py [TARGET]`.

Checks every file against manifest.json, makes a virtual environment in TARGET, installs the wheels into it, puts the
model where `bonsai-edge` looks for models, and compiles the kernels. Needs nothing but Python's standard library, and
not Debian's package `python3-venv` either: pip comes in a wheel of its own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

MANIFEST = "manifest.json"
_CHUNK_BYTES = 1 << 20


class RefusedError(Exception):
    """The bundle cannot be installed here; says why and what to do."""


def verified_manifest(bundle: Path) -> dict:
    """Return the manifest of a bundle all of whose files are there, as they were built, with none beside them.

    Raises RefusedError.
    """
    try:
        manifest = json.loads((bundle / MANIFEST).read_text(encoding="utf-8"))
        expected = {name: (file["sha256"], file["bytes"]) for name, file in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
        raise RefusedError(f"{MANIFEST} cannot be read ({exc}). Copy the whole bundle again.") from exc
    found = {
        path.relative_to(bundle).as_posix()
        for path in bundle.rglob("*")
        if (path.is_file() or path.is_symlink()) and "__pycache__" not in path.parts
    } - {MANIFEST}
    missing, foreign = sorted(expected.keys() - found), sorted(found - expected.keys())
    if missing:
        raise RefusedError(f"{missing[0]} is missing. Copy the whole bundle again.")
    if foreign:
        raise RefusedError(f"{foreign[0]} does not belong to the bundle. Remove it, or unpack the bundle elsewhere.")
    for name, (sha256, num_bytes) in expected.items():
        if (
            (bundle / name).is_symlink()
            or (bundle / name).stat().st_size != num_bytes
            or _digest(bundle / name) != sha256
        ):
            raise RefusedError(f"{name} is not what was packed: its SHA-256 differs. Copy the whole bundle again.")
    return manifest


def require_this_machine(manifest: dict) -> None:
    """Raise RefusedError unless the wheels are for this kind of processor and this version of Python."""
    machine, python = platform.machine(), f"{sys.version_info.major}.{sys.version_info.minor}"
    if (platform.system(), machine) != ("Linux", manifest["machine"]):
        raise RefusedError(
            f"This bundle is for Linux on {manifest['machine']}, and this is {platform.system()} on {machine}. "
            f"Build one with `make bundle PLATFORM=linux-{machine}`."
        )
    if python != manifest["python"]:
        raise RefusedError(
            f"This bundle is for Python {manifest['python']}, and this is Python {python}. Run it with "
            f"python{manifest['python']}, or build one with `make bundle PYTHON_VERSION={python}`."
        )


def install(bundle: Path, target: Path, *, warm: bool) -> None:
    """Install a verified bundle into a new virtual environment; raises RefusedError, CalledProcessError."""
    manifest = verified_manifest(bundle)
    require_this_machine(manifest)
    if target.exists() and any(target.iterdir()):
        raise RefusedError(f"{target} is not empty. Choose another directory, or remove it first.")
    print(f"{len(manifest['files'])} files are as they were packed; installing into {target}", flush=True)
    _run(sys.executable, "-m", "venv", "--without-pip", target)
    wheels = sorted((bundle / "wheels").glob("*.whl"))
    pip = next(wheel for wheel in wheels if wheel.name.startswith("pip-"))
    python, others = target / "bin" / "python", [wheel for wheel in wheels if wheel != pip]
    _run(python, pip / "pip", "install", "--quiet", "--no-index", "--no-deps", "--no-cache-dir", *others)
    _run(python, pip / "pip", "check")
    model = _store_model(bundle, python) or "seedling"
    if warm:
        _run(target / "bin" / "bonsai-edge", "warm")
    print(f"Installed. Try: {target}/bin/bonsai-edge generate --model {model} 'drive to the kitchen'")


def _store_model(bundle: Path, python: Path) -> str | None:
    """Copy the bundle's model to the user's models; return its name, None if the bundle has no model of its own."""
    file = next((bundle / "models").glob("*.gguf"), None)
    if file is None:
        return None
    ask = "from bonsai_edge.model_store import models_directory; print(models_directory())"
    asked = subprocess.run([str(python), "-c", ask], check=True, stdout=subprocess.PIPE, text=True)
    directory = Path(asked.stdout.strip())
    directory.mkdir(parents=True, exist_ok=True)
    unfinished = directory / f".{file.name}.{os.getpid()}"
    shutil.copyfile(file, unfinished)
    unfinished.replace(directory / file.name)  # a model in use must not change under its reader
    print(f"The model is {directory / file.name}")
    return file.stem


def _run(*command: object) -> None:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))}
    subprocess.run([str(part) for part in command], check=True, env={**clean, "PIP_CONFIG_FILE": os.devnull})


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def main() -> int:
    """Install as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description="Install bonsai-edge without a network.")
    parser.add_argument("target", nargs="?", type=Path, default=Path.home() / "bonsai-edge", help="a new directory")
    parser.add_argument("--no-warm", action="store_true", help="leave compiling to the first start")
    arguments = parser.parse_args()
    try:
        install(Path(__file__).resolve().parent, arguments.target.expanduser(), warm=not arguments.no_warm)
    except RefusedError as exc:
        print(f"Error: {exc}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as exc:
        print(f"Error: {' '.join(exc.cmd[:3])} ... failed, see above.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
