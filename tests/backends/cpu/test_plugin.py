import os
import platform
import subprocess
import sys

import pytest

from bonsai_edge.backend_selection import choose_auto
from bonsai_edge.cpu_step.isa_choice import ISA_VARIABLE
from bonsai_edge.plugin_manager import list_backends
from bonsai_edge_cpu import plugin
from bonsai_edge_cpu.isa.selection import BEST_FIRST, cpu_features
from bonsai_edge_cpu.plugin import CpuBackend


def test_probe_runs_a_kernel_and_names_the_instruction_set() -> None:
    availability = CpuBackend().probe()
    assert availability.available
    assert availability.reason == f"{availability.details['isa']} kernels pass their smoke test."


def test_backend_is_found_by_entry_point_and_taken_by_auto() -> None:
    statuses = list_backends()
    assert "cpu" in [status.name for status in statuses]
    assert choose_auto(statuses).name == "cpu"


def test_unknown_instruction_set_makes_the_backend_unavailable_with_the_reason() -> None:
    code = "from bonsai_edge_cpu.plugin import CpuBackend; print(CpuBackend().probe().reason)"
    environment = os.environ | {ISA_VARIABLE: "mmx"}
    child = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert "asks for 'mmx'; this processor supports" in child.stdout


def test_instruction_set_that_the_processor_lacks_is_refused_before_any_of_it_runs() -> None:
    lacking = next(isa.name for isa in BEST_FIRST if not isa.is_supported(cpu_features()))
    code = "from bonsai_edge.cli import main; main()"
    command = [sys.executable, "-c", code, "generate", "stop", "--backend", "cpu", "--require-backend"]
    environment = os.environ | {ISA_VARIABLE: lacking}
    child = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert child.returncode == 1
    assert child.stderr.startswith("Error [backend_unavailable]: ")
    assert f"asks for '{lacking}'; this processor supports" in child.stderr
    assert child.stderr.count("\n") == 1


def test_describing_the_backend_imports_no_numba() -> None:
    code = "import sys, bonsai_edge_cpu.plugin as p; p.bonsai_backends(); print('numba' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert child.stdout.strip() == "False"


@pytest.mark.parametrize("machine", ["armv7l", "armv6l", "aarch64"])  # the last: a 32-bit Python on a 64-bit kernel
def test_32_bit_python_is_told_of_the_64_bit_operating_system_before_numba_is_missed(
    monkeypatch: pytest.MonkeyPatch, machine: str
) -> None:
    monkeypatch.setattr(plugin, "_pointer_bytes", lambda: 4)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(plugin, "find_spec", lambda name: None)
    availability = CpuBackend().probe()
    assert not availability.available
    assert availability.reason == (
        f"This Python is 32-bit (on {machine}), and the kernels need 64 bits: install a 64-bit operating system, such "
        "as Raspberry Pi OS (64-bit), and its Python."
    )


def test_missing_numba_is_one_sentence_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "find_spec", lambda name: None)
    assert CpuBackend().probe().reason == "Numba is not installed; run: pip install numba"


def test_numba_that_cannot_be_imported_is_one_sentence_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "find_spec", lambda name: "it is there")
    monkeypatch.setitem(sys.modules, "numba", None)
    assert CpuBackend().probe().reason == (
        "Numba cannot be imported (import of numba halted; None in sys.modules); run: pip install --upgrade "
        "--force-reinstall numba"
    )


def test_refusal_on_32_bits_reaches_the_user_as_one_line_with_a_code() -> None:
    code = (
        "from bonsai_edge_cpu import plugin; plugin._pointer_bytes = lambda: 4\n"
        "from bonsai_edge.cli import main; main(['generate', 'stop', '--backend', 'cpu', '--require-backend'])"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert child.returncode == 1
    assert child.stderr.startswith("Error [backend_unavailable]: ")
    assert "install a 64-bit operating system" in child.stderr
    assert child.stderr.count("\n") == 1
