"""The probe says why there is no GPU to compute with, asks no driver in vain, and lets `auto` measure what it finds."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from bonsai_edge_webgpu import detection, plugin
from bonsai_edge_webgpu.detection import DRIVER_VARIABLES, may_have_gpu
from bonsai_edge_webgpu.plugin import WebgpuBackend

DETECT = may_have_gpu.__wrapped__


@pytest.fixture
def no_driver_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in DRIVER_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("no_driver_named")
@pytest.mark.parametrize("device", ["dri/renderD128", "kgsl-3d0", "mali0", "nvidia0", "dxg"])
def test_a_device_file_is_a_sign_of_a_gpu(tmp_path: Path, device: str) -> None:
    assert not DETECT(tmp_path)
    (tmp_path / "dri").mkdir()
    (tmp_path / "dri" / "card0").touch()  # a display without a GPU
    (tmp_path / "nvidiactl").touch()
    assert not DETECT(tmp_path)
    (tmp_path / device).touch()
    assert DETECT(tmp_path)


@pytest.mark.usefixtures("no_driver_named")
@pytest.mark.parametrize("name", DRIVER_VARIABLES)
def test_a_named_driver_is_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv(name, "lvp_icd.json")
    assert DETECT(tmp_path)


def test_without_a_sign_of_a_gpu_nothing_is_loaded() -> None:
    code = (
        "import sys; from bonsai_edge_webgpu import plugin; plugin.may_have_gpu = lambda: False\n"
        "print(plugin.WebgpuBackend().probe().reason, 'wgpu' in sys.modules)"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert child.stdout == "There is no GPU here: /dev has no device file of one. False\n"


@pytest.mark.parametrize(
    ("python", "reason"),
    [
        ((3, 13), "wgpu is not installed; run: pip install 'bonsai-edge[webgpu]'."),
        ((3, 10), "wgpu needs Python 3.11 or later; with it, run: pip install 'bonsai-edge[webgpu]'."),
    ],
)
def test_a_missing_library_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch, python, reason: str) -> None:
    monkeypatch.setattr(plugin, "may_have_gpu", lambda: True)
    monkeypatch.setattr(plugin, "find_spec", lambda name: None)
    monkeypatch.setattr(sys, "version_info", python)
    found = WebgpuBackend().probe()
    assert not found.available
    assert found.reason == reason


def test_a_gpu_that_the_cpu_plays_is_never_chosen_by_itself(backend: WebgpuBackend) -> None:
    found = backend.probe()
    assert found.available
    assert found.score == 0
    assert found.reason.startswith("llvmpipe (LLVM ")
    assert found.reason.endswith(" passes the smoke test; it is the CPU, for tests.")
    assert found.details["driver"].startswith("Vulkan, Mesa ")


def test_a_real_gpu_is_for_auto_to_measure(backend: WebgpuBackend, gpu, monkeypatch: pytest.MonkeyPatch) -> None:
    from bonsai_edge_webgpu import adapter  # noqa: PLC0415  (needs wgpu)

    real = adapter.OpenedGpu(gpu, "Mali-G610", "Vulkan, panvk", is_software=False)
    monkeypatch.setattr(adapter, "open_gpu", lambda: real)
    found = backend.probe()
    assert found.available
    assert found.needs_trial
    assert found.score > 100
    assert found.details == {"device": "Mali-G610", "driver": "Vulkan, panvk"}


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (None, "No driver for Vulkan, Metal or DirectX 12 offers a GPU."),
        ("wrong", "GPU (Vulkan, d) fails the smoke test: the product begins with 0, expected 1."),
        (RuntimeError("no device"), "GPU (Vulkan, d) cannot be used: no device."),
    ],
    ids=str,
)
def test_a_gpu_that_cannot_be_used_is_named_with_its_reason(
    backend: WebgpuBackend, gpu, monkeypatch: pytest.MonkeyPatch, outcome, reason: str
) -> None:
    from bonsai_edge_webgpu import adapter  # noqa: PLC0415  (needs wgpu)

    info = {"device": "GPU", "backend_type": "Vulkan", "description": "d", "adapter_type": "IntegratedGPU"}

    def open_fake(_):
        if isinstance(outcome, Exception):
            raise outcome
        return gpu

    monkeypatch.setattr(adapter, "find_adapter", lambda: outcome and SimpleNamespace(info=info))
    monkeypatch.setattr(adapter, "Gpu", open_fake)
    monkeypatch.setattr(adapter, "smoke_test_failure", lambda gpu: "the product begins with 0, expected 1.")
    assert adapter.open_gpu.__wrapped__() == reason


def test_describing_the_backend_imports_no_wgpu() -> None:
    code = "import sys, bonsai_edge_webgpu.plugin as p; p.bonsai_backends(); print('wgpu' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert child.stdout.strip() == "False"
    assert detection.may_have_gpu is plugin.may_have_gpu
