"""The mobile backend on emulated Arm boards, where Numba cannot be imported, and the C example."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import product_example
import without_numba
from bonsai_edge_mobile.targets import TARGETS
from reference_answers import check_answers

pytestmark = pytest.mark.emulated

ARM64 = Path(__file__).parent / "arm64.sh"
LIBRARIES = Path(__file__).parents[2] / "backends" / "bonsai_edge_mobile" / "lib"
EXPECTED_ISA = {"cortex-a72": "neon", "cortex-a76": "neon_dotprod", "max": "neon_dotprod"}


def run_on(cpu: str, *command: str | Path) -> subprocess.CompletedProcess[str]:
    child = subprocess.run(
        [ARM64, "run", "--cpu", cpu, "--", *command], capture_output=True, text=True, timeout=600, check=False
    )
    assert child.returncode == 0, child.stderr
    return child


@pytest.fixture(scope="module")
def library() -> Path:
    path = LIBRARIES / TARGETS["linux-arm64"].library
    assert path.exists(), "run `bonsai-edge kernels build --target linux-arm64`"
    return path


@pytest.mark.parametrize("cpu", EXPECTED_ISA)
def test_generates_without_numba_as_the_reference_does(cpu: str, library: Path) -> None:
    found = json.loads(run_on(cpu, "python3", without_numba.__file__).stdout)
    assert found["backend"] == "mobile"
    assert found["page_layout"].startswith(f"{EXPECTED_ISA[cpu]}-")
    check_answers(found["texts"], found["logits"])


@pytest.mark.parametrize("cpu", EXPECTED_ISA)
def test_product_of_the_c_example_is_right(cpu: str, library: Path, tmp_path: Path) -> None:
    zig: Sequence[str] = (sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-gnu.2.31")
    program = product_example.compile_with(zig, library, tmp_path)
    assert shutil.which("qemu-aarch64-static")
    done = run_on(cpu, program, product_example.MODEL, product_example.MATRIX)
    product_example.check(done.stdout)
    assert done.stderr.splitlines()[-1] == f"{EXPECTED_ISA[cpu]} kernels"
