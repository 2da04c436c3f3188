"""Kernels on emulated Arm boards, compared with NumPy."""

import subprocess
from pathlib import Path

import pytest

import kernel_checks

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
