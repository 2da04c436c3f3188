import json
import subprocess
import sys
from pathlib import Path

import pytest

import compiled_requests
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge_cpu import kernel_cache, warming
from bonsai_edge_cpu.plugin import CpuBackend
from gguf_files import write_random_model

MODELS = {
    "Q1_0": {},
    "Q8_0": {"ggml_type": "Q8_0", "tied": False, "yarn": False},
    "F16": {"ggml_type": "F16", "heads": 2, "head_dim": 128},
    "BF16": {"ggml_type": "BF16", "kv_heads": 1},
    "F32": {"ggml_type": "F32", "hidden": 384, "heads": 8, "kv_heads": 8, "head_dim": 16, "layers": 1},
}


def test_after_warm_no_model_compiles_and_no_request_waits_for_a_kernel(tmp_path: Path) -> None:
    paths = [str(write_random_model(tmp_path / f"{name}.gguf", **shape)) for name, shape in MODELS.items()]
    child = subprocess.run(
        [sys.executable, compiled_requests.__file__, *paths], capture_output=True, text=True, timeout=300
    )
    assert child.returncode == 0, child.stderr
    found = json.loads(child.stdout)
    of_kv_types = {"Q1_0 q8": [], "Q1_0 q4": []}
    assert found["loading"] == {f"{name} {threads}": [] for name in MODELS for threads in (1, 2)} | of_kv_types
    assert found["answering"] == []


def test_warm_again_finds_everything_and_says_where_and_how_much() -> None:
    command = [sys.executable, "-m", "bonsai_edge", "warm", "--backend", "cpu", "--json"]
    for _ in range(2):
        child = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    report = json.loads(child.stdout)
    assert report["backend"] == "cpu"
    assert report["compiled"] == []
    assert report["bytes"] == sum(path.stat().st_size for path in Path(report["folder"]).rglob("*.nb[ic]")) > 0
    assert report["target"].startswith(f"{Path(report['folder']).name} on ")


def test_warm_refuses_where_there_is_no_home_to_keep_kernels_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warming, "kernel_folder", lambda: None)
    with pytest.raises(BackendUnavailableError) as caught:
        CpuBackend().warm()
    assert str(caught.value) == (
        "There is no home directory to keep compiled kernels in. Name a folder in BONSAI_EDGE_KERNEL_CACHE."
    )


def test_warm_fails_with_the_reason_when_the_folder_cannot_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "_write_failures", [PermissionError(13, "Permission denied", "/opt/kernels")])
    with pytest.raises(PermissionError, match="/opt/kernels"):
        CpuBackend().warm()
