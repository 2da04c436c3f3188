"""The library itself: its product of one matrix, its memory, and what it needs of the system."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bonsai_edge.cpu_step.workspace import make_activations, make_sums, make_tables
from bonsai_edge.formats.ggml_types import GGMLType, dequantize
from bonsai_edge_mobile.library import Kernels, library_path, load_kernels
from mobile_kernels import mobile_backend

EXPORTS = {
    "bonsai_edge_best_variant",
    "bonsai_edge_interface",
    "bonsai_edge_multiply",
    "bonsai_edge_num_variants",
    "bonsai_edge_run_step",
    "bonsai_edge_spare_tiles",
    "bonsai_edge_step_signature",
    "bonsai_edge_table_tokens",
    "bonsai_edge_variant_is_supported",
    "bonsai_edge_variant_name",
    "bonsai_edge_version",
    "bonsai_edge_workspace_bytes",
}


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    mobile_backend()
    return load_kernels()


@pytest.fixture(scope="module")
def path(kernels: Kernels) -> Path:
    if shutil.which("readelf") is None:
        pytest.skip("readelf is not installed (Debian: binutils)")
    return library_path()


def readelf(path: Path, *options: str) -> str:
    return subprocess.run(["readelf", "-W", *options, path], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(("num_rows", "num_columns", "num_tokens"), [(1, 128, 1), (37, 1024, 3), (800, 256, 40)])
def test_product_agrees_with_numpy(kernels: Kernels, num_rows: int, num_columns: int, num_tokens: int) -> None:
    rng = np.random.default_rng(num_rows)
    blocks = rng.integers(0, 256, (num_rows, num_columns // 128, 18), dtype=np.uint8)
    blocks[:, :, :2] = rng.uniform(0.01, 0.02, (*blocks.shape[:2], 1)).astype("<f2").view(np.uint8)
    packed, x = blocks.reshape(num_rows, -1), rng.integers(-127, 128, (num_tokens, num_columns)).astype(np.float32)
    x[:, ::32] = 127.0  # every scale is then 1, and rounding changes nothing
    expected = x.astype(np.float64) @ dequantize(packed, GGMLType.Q1_0).T
    np.testing.assert_allclose(kernels.multiply(packed, x), expected, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize(("num_columns", "num_tokens"), [(128, 1), (2048, 17), (640, 100)])
def test_workspace_is_the_arrays_of_core(kernels: Kernels, num_columns: int, num_tokens: int) -> None:
    """The C file lays out the same arrays: it must know of every change of them."""
    activations = make_activations(num_tokens, num_columns // 128, kernels.table_tokens, kernels.spare_tiles)
    arrays = (*activations, make_tables(1, kernels.table_tokens), make_sums(1, kernels.table_tokens))
    padded = sum(-(-array.nbytes // 64) * 64 for array in arrays)
    assert kernels.workspace_bytes(num_columns, num_tokens) == padded


def test_library_needs_no_other_and_no_symbol(path: Path) -> None:
    """So that it is at home with glibc, musl and Bionic alike."""
    assert "NEEDED" not in readelf(path, "--dynamic")
    symbols = [line.split() for line in readelf(path, "--dyn-syms").splitlines() if re.match(r"\s+\d+:", line)]
    assert {fields[7] for fields in symbols if len(fields) > 7 and fields[6] != "UND"} == EXPORTS
    assert [fields[7] for fields in symbols if len(fields) > 7 and fields[6] == "UND"] == []


def test_segments_suit_pages_of_16_kib_and_nothing_is_writable_and_executable(path: Path) -> None:
    segments = readelf(path, "--segments")
    alignments = re.findall(r"^\s+LOAD .*(0x[0-9a-f]+)$", segments, re.MULTILINE)
    assert len(alignments) >= 2
    assert all(int(alignment, 16) % 16384 == 0 for alignment in alignments)
    assert not re.search(r"\bRWE\b", segments)
    assert "TEXTREL" not in readelf(path, "--dynamic")
