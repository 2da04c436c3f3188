"""Builds a bundle that installs bonsai-edge on a machine without a network; see docs/offline-bundle.md.

Dependencies are resolved by uv for the other platform, since pip judges their markers by the Python that runs it, and
fetched by pip. What comes out is a directory and a tar archive of it, which is the same for the same input.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from bonsai_edge.errors import BonsaiError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.version import __version__

REPOSITORY = Path(__file__).resolve().parent.parent
PLATFORMS = {"linux-aarch64": "aarch64", "linux-x86_64": "x86_64"}
_GLIBC_MINORS = (28, 27, 26, 24, 17)  # of the manylinux tags: Debian 10, Ubuntu 20.04, JetPack 5 and later have 2.28
_INSTALLER = REPOSITORY / "bundle" / "install.py"


def build(platform: str, python: str, model: Path | None, output: Path) -> Path:
    """Build a bundle below `output`, in place of an earlier one; return its archive.

    Raises BonsaiError if the model cannot be opened, CalledProcessError if uv or pip fail.
    """
    if model is not None:
        open_checkpoint(model)
    machine = PLATFORMS[platform]
    name = f"bonsai-edge-{__version__}-{platform}-python{python}"
    folder = output / name
    shutil.rmtree(folder, ignore_errors=True)
    wheels = folder / "wheels"
    wheels.mkdir(parents=True)
    _pip("wheel", "--no-deps", "--wheel-dir", wheels, REPOSITORY)
    _fetch_dependencies(wheels, machine, python)
    if model is not None:
        (folder / "models").mkdir()
        shutil.copyfile(model, folder / "models" / f"{model.stem}.gguf")
    shutil.copyfile(_INSTALLER, folder / _INSTALLER.name)
    manifest = {
        "format": 1,
        "version": __version__,
        "machine": machine,
        "python": python,
        "files": file_digests(folder),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return _archive(folder)


def file_digests(folder: Path) -> dict[str, dict[str, str | int]]:
    """Return size and SHA-256 of every file below a folder, by its relative path."""
    return {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": _digest(path)}
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _fetch_dependencies(wheels: Path, machine: str, python: str) -> None:
    """Fetch a wheel of everything that bonsai-edge needs there, and of pip to install them with."""
    with tempfile.TemporaryDirectory() as temporary:
        pins = Path(temporary) / "pins.txt"
        resolve = ["uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary", ":all:"]
        resolve += ["--python-platform", f"{machine}-manylinux_2_{_GLIBC_MINORS[0]}", "--python-version", python]
        resolve += ["--output-file", str(pins), str(REPOSITORY / "pyproject.toml")]
        subprocess.run([str(Path(sys.executable).with_name("uv")), *resolve[1:]], check=True)
        tags = [f"manylinux_2_{minor}_{machine}" for minor in _GLIBC_MINORS] + [f"manylinux2014_{machine}"]
        where = [part for tag in tags for part in ("--platform", tag)]
        where += ["--implementation", "cp", "--python-version", python, "--only-binary", ":all:"]
        _pip("download", "--no-deps", *where, "--dest", wheels, "--requirement", pins, "pip")


def _pip(*arguments: object) -> None:
    quiet = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*quiet, *(str(argument) for argument in arguments)], check=True)


def _archive(folder: Path) -> Path:
    """Pack a folder; owners and times are left out, so that the same content is the same archive."""

    def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        member.mtime = 0
        return member

    archive = folder.with_name(folder.name + ".tar")
    with tarfile.open(archive, "w") as tar:
        tar.add(folder, arcname=folder.name, filter=plain)
    return archive


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()


def main() -> int:
    """Build as the command line says; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--platform", required=True, choices=PLATFORMS)
    parser.add_argument("--python-version", default="3.11", metavar="3.N", help="of the machine it is for")
    parser.add_argument(
        "--model", type=Path, metavar="FILE", help="a GGUF file to put in; the seedling is always there"
    )
    parser.add_argument("--output", type=Path, default=REPOSITORY / "dist", metavar="DIR")
    arguments = parser.parse_args()
    try:
        archive = build(arguments.platform, arguments.python_version, arguments.model, arguments.output)
    except (BonsaiError, subprocess.CalledProcessError) as exc:
        print(f"Error: {exc}", file=sys.stderr)
        return 1
    print(f"{archive}: {archive.stat().st_size / 1e6:.0f} MB, SHA-256 {_digest(archive)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
