"""The CPU backend on emulated Arm boards: kernels compared with NumPy, generation with the reference."""

import json
import subprocess
from pathlib import Path

import pytest

import cpu_generation
import kernel_checks
from reference_answers import check_answers

pytestmark = pytest.mark.emulated

ARM64 = Path(__file__).parent / "arm64.sh"
SELECTED_ISA = {"cortex-a72": "neon", "cortex-a76": "neon_dotprod", "max": "neon_i8mm"}
PRINT_SELECTED = "from bonsai_edge_cpu.isa.selection import selected_isa; print(selected_isa().name)"


def run_on(cpu, *command):
    child = subprocess.run([ARM64, "run", "--cpu", cpu, "--", *command], capture_output=True, text=True)
    assert child.returncode == 0, child.stderr
    return child.stdout


@pytest.mark.parametrize("cpu", SELECTED_ISA)
def test_the_instruction_set_is_the_best_that_the_processor_has(cpu):
    assert run_on(cpu, "python3", "-c", PRINT_SELECTED).split() == [SELECTED_ISA[cpu]]


@pytest.mark.parametrize("cpu", SELECTED_ISA)
def test_kernels_agree_with_numpy(cpu):
    output = run_on(cpu, "python3", kernel_checks.__file__)
    assert output.count("passed") == len(kernel_checks.CHECKS)


def test_portable_kernels_agree_with_numpy():
    output = run_on("cortex-a72", "env", "BONSAI_EDGE_CPU_ISA=portable", "python3", kernel_checks.__file__)
    assert output.count("passed") == len(kernel_checks.CHECKS)


@pytest.mark.parametrize("cpu", SELECTED_ISA)
def test_generates_as_the_reference_does(cpu):
    """The first time the step is compiled there, which takes some ten minutes."""
    found = json.loads(run_on(cpu, "python3", cpu_generation.__file__))
    assert found["page_layout"].startswith(f"{SELECTED_ISA[cpu]}-")
    check_answers(found["texts"], found["logits"])
