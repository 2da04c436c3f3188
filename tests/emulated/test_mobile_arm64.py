"""The mobile backend on emulated Arm boards, where Numba is not installed, and the C example."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import product_example
import robot_answers
from bonsai_edge_mobile.targets import TARGETS
from gguf_files import write_random_model
from reference_answers import check_answers, check_logits

pytestmark = pytest.mark.emulated

ARM64 = Path(__file__).parent / "arm64.sh"
LIBRARIES = Path(__file__).parents[2] / "backends" / "bonsai_edge_mobile" / "lib"
EXPECTED_ISA = {"cortex-a72": "neon", "cortex-a76": "neon_dotprod", "max": "neon_i8mm"}


def run_on(cpu: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    child = subprocess.run(
        [ARM64, "run", "--cpu", cpu, *arguments], capture_output=True, text=True, timeout=600, check=False
    )
    assert child.returncode == 0, child.stderr
    return child


@pytest.fixture(scope="module")
def library() -> Path:
    path = LIBRARIES / TARGETS["linux-arm64"].library
    assert path.exists(), "run `bonsai-edge kernels build --target linux-arm64`"
    return path


@pytest.fixture(scope="module")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("mobile") / "tiny.gguf"
    return write_random_model(path, hidden=256, intermediate=768, heads=4, kv_heads=2, head_dim=64)


@pytest.mark.parametrize("cpu", EXPECTED_ISA)
def test_generates_without_numba_as_the_reference_does(cpu: str, library: Path, random_model: Path) -> None:
    found = json.loads(run_on(cpu, "--without-numba", "--", "python3", robot_answers.__file__, random_model).stdout)
    assert (found["compilers"], found["backend"]) == ([], "mobile")
    assert found["page_layout"].startswith(f"{EXPECTED_ISA[cpu]}-")
    of_seedling, of_random_model = found["logits"]
    check_answers(found["texts"], of_seedling)
    check_logits(random_model, of_random_model)


@pytest.mark.parametrize("cpu", EXPECTED_ISA)
def test_product_of_the_c_example_is_right(cpu: str, library: Path, tmp_path: Path) -> None:
    zig: Sequence[str] = (sys.executable, "-m", "ziglang", "cc", "-target", "aarch64-linux-gnu.2.31")
    program = product_example.compile_with(zig, library, tmp_path)
    assert shutil.which("qemu-aarch64-static")
    done = run_on(cpu, "--", program, product_example.MODEL, product_example.MATRIX)
    product_example.check(done.stdout)
    assert done.stderr.splitlines()[-1] == f"{EXPECTED_ISA[cpu]} kernels"
