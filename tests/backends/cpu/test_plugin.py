import os
import subprocess
import sys

from bonsai_edge.plugin_manager import choose_auto, list_backends
from bonsai_edge_cpu.isa.selection import OVERRIDE_VARIABLE
from bonsai_edge_cpu.plugin import CpuBackend


def test_probe_runs_a_kernel_and_names_the_instruction_set() -> None:
    availability = CpuBackend().probe()
    assert availability.available
    assert availability.reason == f"{availability.details['isa']} kernels pass their smoke test."


def test_backend_is_found_by_entry_point_and_taken_by_auto() -> None:
    statuses = list_backends()
    assert "cpu" in [status.name for status in statuses]
    assert choose_auto(statuses) == "cpu"


def test_unknown_instruction_set_makes_the_backend_unavailable_with_the_reason() -> None:
    code = "from bonsai_edge_cpu.plugin import CpuBackend; print(CpuBackend().probe().reason)"
    environment = os.environ | {OVERRIDE_VARIABLE: "mmx"}
    child = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    assert "asks for 'mmx'; this processor supports" in child.stdout


def test_describing_the_backend_imports_no_numba() -> None:
    code = "import sys, bonsai_edge_cpu.plugin as p; p.bonsai_backends(); print('numba' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert child.stdout.strip() == "False"
