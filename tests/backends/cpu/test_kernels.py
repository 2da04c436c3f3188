import os
import subprocess
import sys
from collections.abc import Callable

import pytest

import kernel_checks
from bonsai_edge.cpu_step.isa_choice import ISA_VARIABLE
from bonsai_edge_cpu.isa.selection import BEST_FIRST, cpu_features, selected_isa


@pytest.mark.parametrize("check", kernel_checks.CHECKS)
def test_kernel_agrees_with_numpy(check: Callable[[], None]) -> None:
    check()


@pytest.mark.parametrize("isa", BEST_FIRST, ids=lambda isa: isa.name)
def test_kernels_of_every_instruction_set_agree_with_numpy(isa) -> None:
    if not isa.is_supported(cpu_features()):
        pytest.skip(f"this processor has no {isa.name}")
    if isa.name == selected_isa().name:
        pytest.skip(f"{isa.name} is what the other tests of this run use")
    environment = os.environ | {ISA_VARIABLE: isa.name}
    child = subprocess.run(
        [sys.executable, kernel_checks.__file__], env=environment, capture_output=True, text=True, timeout=300
    )
    assert child.returncode == 0, child.stderr
