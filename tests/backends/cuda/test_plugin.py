import json
import subprocess
import sys
from importlib.util import find_spec

import pytest

from bonsai_edge_cuda import plugin
from bonsai_edge_cuda.detection import Gpu, NoGpu, find_gpu
from bonsai_edge_cuda.plugin import CudaBackend

ORIN = Gpu("Orin", (8, 7), 8, 7990 << 20, is_integrated=True, cuda_version=(12, 6))


def test_describing_the_backend_imports_no_cuda() -> None:
    code = "import sys, bonsai_edge_cuda.plugin as p; p.bonsai_backends(); print('cuda.bindings' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert child.stdout.strip() == "False"


def test_the_list_of_backends_says_why_cuda_cannot_run_here() -> None:
    here = find_gpu()
    if isinstance(here, Gpu):
        pytest.skip(f"{here.name} is here; `make test-cuda` tests it")
    command = [sys.executable, "-c", "from bonsai_edge.cli import main; main()", "backends", "--json"]
    listing = json.loads(subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout)
    (entry,) = (entry for entry in listing["backends"] if entry["name"] == "cuda")
    assert entry["available"] is False
    assert entry["reason"] == here.reason
    assert entry["reason"].startswith(("No NVIDIA driver", "There is an NVIDIA GPU", "The NVIDIA driver"))
    assert listing["auto"] != "cuda"


def test_hardware_that_cannot_be_used_keeps_its_score_so_that_auto_tells_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "find_gpu", lambda library: NoGpu("No driver.", has_hardware=True))
    with_hardware = CudaBackend().probe()
    monkeypatch.setattr(plugin, "find_gpu", lambda library: NoGpu("No GPU.", has_hardware=False))
    assert (with_hardware.available, with_hardware.score > 100) == (False, True)
    assert CudaBackend().probe().score == 0


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "find_gpu", lambda library: ORIN)
    monkeypatch.setattr(plugin, "find_spec", lambda name: None if name == "cuda.core" else find_spec("json"))
    assert CudaBackend().probe().reason == (
        "Orin is here, but cuda-core is not installed; run: pip install 'bonsai-edge[cuda]'"
    )


def test_a_gpu_that_is_too_old_is_never_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    old = Gpu("Tegra X1", (5, 3), 1, 4 << 30, is_integrated=True, cuda_version=(10, 2))
    monkeypatch.setattr(plugin, "find_gpu", lambda library: old)
    availability = CudaBackend().probe()
    assert not availability.available
    assert availability.score == 0
    assert availability.reason == old.unsuitability
    assert availability.details["compute_capability"] == "5.3"
