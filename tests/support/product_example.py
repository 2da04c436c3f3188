"""Compiles examples/c and compares what it prints with NumPy."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.model_store import resolve_model_path

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "examples" / "c"
MODEL = resolve_model_path("seedling")
MATRIX = "blk.0.ffn_down.weight"


def compile_with(compiler: Sequence[str], library: Path, folder: Path) -> Path:
    """Compile the example against a library, warnings being errors, and return the program."""
    program = folder / "product"
    header = ROOT / "backends" / "bonsai_edge_mobile" / "native"
    options = ["-std=c11", "-D_POSIX_C_SOURCE=200809L", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    sources = [str(SOURCES / name) for name in ("product.c", "gguf.c")]
    linked = [str(library), f"-Wl,-rpath,{library.parent}"]
    command = [*compiler, *options, f"-I{header}", *sources, *linked, "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    return program


def check(output: str) -> None:
    """Assert that the printed product is that of the dequantized matrix, as far as int8 activations allow."""
    matrix = open_checkpoint(MODEL).tensors[MATRIX].dequantize().astype(np.float64)
    x = (np.arange(matrix.shape[1]) % 7 - 3) / 4
    found, expected = np.array(output.split(), np.float64), matrix @ x
    assert found.shape == expected.shape
    # A rounding moves an activation by at most half a step of 0.75 / 127.
    assert np.abs(found - expected).max() <= 0.5 * 0.75 / 127 * np.abs(matrix).sum(axis=1).max()
    assert (found @ expected) / np.sqrt((found @ found) * (expected @ expected)) > 0.9999
