"""Builds a library of kernels: LLVM objects from the CPU backend's sources, linked with a little C by Zig.

Zig, from the package `ziglang`, brings the compiler and linkers for all targets; it is needed here and nowhere else.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypedDict

import ziglang

from bonsai_edge.errors import BonsaiError
from bonsai_edge.progress import progress
from bonsai_edge_mobile.targets import Target, Variant

HEADER = "bonsai_edge.h"
_NATIVE = Path(__file__).with_name("native")
_ZIG = Path(ziglang.__file__).with_name("zig")
_WARNINGS = ("-Wall", "-Wextra", "-Werror")


class KernelBuildError(BonsaiError):
    """A compiler or linker failed."""

    code = "kernel_build"


class _Facts(TypedDict):
    version: str
    table_tokens: int
    spare_tiles: int
    step_signature: str


def build_library(target: Target, folder: Path, jobs: int) -> Path:
    """Build the library of a target in a folder, beside its header, and return its path.

    `jobs` compilers run at a time, each on one core and in some 500 MB.
    Raises KernelBuildError with what the compiler said.
    """
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / target.library
    with tempfile.TemporaryDirectory(prefix="bonsai-kernels-") as name, ThreadPoolExecutor(jobs) as pool:
        objects = [Path(name) / f"{variant.isa}.o" for variant in target.variants]
        # A process for each: kernels choose their instruction set when they are imported. The backend itself is not
        # imported, since one backend knows nothing of another; this is what its command line is for.
        facts = list(pool.map(lambda variant, path: _compile(target, variant, path), target.variants, objects))
        unfinished = Path(name) / target.library
        _link(target, facts, objects, unfinished)
        # Renamed, not written over: processes that have the old one mapped would crash.
        shutil.copy(unfinished, folder / f"{library.name}.new")
        (folder / f"{library.name}.new").replace(library)
        shutil.copy(_NATIVE / HEADER, folder)
    progress.info("%s: %d KiB for %s.", library, library.stat().st_size // 1024, target.summary)
    return library


def _compile(target: Target, variant: Variant, path: Path) -> _Facts:
    progress.info("Compiling %s for %s.", variant.isa, target.name)
    output = _run(
        sys.executable, "-m", "bonsai_edge_cpu.ahead_of_time", str(path), "--isa", variant.isa,
        "--triple", target.triple, "--processor", variant.processor, f"--features={variant.features}",
    )  # fmt: skip
    facts: _Facts = json.loads(output)
    return facts


def _link(target: Target, facts: Sequence[_Facts], objects: Sequence[Path], library: Path) -> None:
    variants = "".join(
        f"V({variant.isa},{fact['table_tokens']},{fact['spare_tiles']})"
        for variant, fact in zip(target.variants, facts, strict=True)
    )
    definitions = {
        "VARIANTS": variants,
        "VERSION": json.dumps(facts[0]["version"]),
        "STEP_SIGNATURE": json.dumps(facts[0]["step_signature"]),
    }
    compile_ = [
        str(_ZIG), "cc", "-target", target.zig, "-std=c11", "-O2", "-fPIC", "-fvisibility=hidden", *_WARNINGS,
        # `memset` is written there, and a loop in it must not become a call of itself.
        "-fno-builtin", *(f"-D{name}={value}" for name, value in definitions.items()),
    ]  # fmt: skip
    parts = list(objects)
    for source in target.sources:
        parts.append(library.with_name(f"{source}.o"))
        _run(*compile_, "-c", str(_NATIVE / source), "-o", str(parts[-1]))
    if library.suffix == ".a":
        _run(str(_ZIG), "ar", "rcs", str(library), *map(str, parts))
    else:
        linked = (*map(str, parts), *target.link_options, "-o", str(library))
        _run(str(_ZIG), "cc", "-target", target.zig, "-shared", *linked)


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        called = f"{Path(command[0]).name} {' '.join(command[1:3])}"
        last_lines = "\n".join(done.stderr.strip().splitlines()[-15:])
        raise KernelBuildError(
            f"`{called} …` failed with exit code {done.returncode}:\n{last_lines}",
            "This is a mistake of the build or an incompatible version of Numba or ziglang.",
        )
    return done.stdout
