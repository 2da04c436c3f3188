"""The C example of the kernels, compiled here, against NumPy."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import product_example
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge_mobile.library import library_path, load_kernels
from mobile_kernels import mobile_backend


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        pytest.skip("there is no C compiler (Debian: gcc)")
    mobile_backend()
    return product_example.compile_with([compiler], library_path(), tmp_path_factory.mktemp("c"))


def run(program: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)


def test_product_agrees_with_numpy_and_names_its_instruction_set(program: Path) -> None:
    done = run(program, product_example.MODEL, product_example.MATRIX)
    assert done.returncode == 0, done.stderr
    product_example.check(done.stdout)
    if "BONSAI_EDGE_CPU_ISA" not in os.environ:
        assert done.stderr == f"{load_kernels().isa} kernels\n"


def test_matrices_are_listed(program: Path) -> None:
    listed = {line.split()[0]: line.split()[1::2] for line in run(program, product_example.MODEL).stdout.splitlines()}
    tensors = open_checkpoint(product_example.MODEL).tensors
    expected = {n: [str(t.num_rows), str(t.num_columns)] for n, t in tensors.items() if t.ggml_type.name == "Q1_0"}
    assert listed == expected


def test_damaged_file_is_refused_wherever_it_is_cut(program: Path, tmp_path: Path) -> None:
    whole = product_example.MODEL.read_bytes()
    path = tmp_path / "cut.gguf"
    for length in (0, 3, 20, 1000, len(whole) // 2, len(whole) - 20_000):
        path.write_bytes(whole[:length])
        done = run(program, path, product_example.MATRIX)
        assert done.returncode == 1
        assert re.fullmatch(r".*cut\.gguf cannot be read: [a-z ]+\.\n", done.stderr, re.IGNORECASE), done.stderr


def test_missing_matrix_is_told(program: Path) -> None:
    done = run(program, product_example.MODEL, "no.matrix")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.endswith("has no Q1_0 matrix no.matrix.\n")
