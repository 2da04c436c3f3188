from pathlib import Path

import pytest

from bonsai_edge_cuda.detection import Gpu, NoGpu, find_gpu


@pytest.fixture(autouse=True)
def no_choice_of_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def test_what_the_driver_tells_is_described(fake_libcuda: str) -> None:
    gpu = find_gpu(fake_libcuda)
    assert gpu == Gpu("Orin", (8, 7), 8, 7990 << 20, is_integrated=True, cuda_version=(12, 6))
    assert gpu.unsuitability is None
    assert gpu.facts() == {
        "device": "Orin",
        "compute_capability": "8.7",
        "memory_bytes": str(7990 << 20),
        "memory": "shared with the processor",
        "driver_cuda": "12.6",
    }


def test_an_old_gpu_is_sent_to_the_cpu_backend(fake_libcuda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_MAJOR", "7")
    monkeypatch.setenv("FAKE_MINOR", "2")
    gpu = find_gpu(fake_libcuda)
    assert isinstance(gpu, Gpu)
    assert gpu.unsuitability == (
        "Orin has compute capability 7.2, and the kernels need 8.0 (Ampere) or newer: use the CPU backend."
    )


def test_an_old_driver_is_named_with_what_is_needed(fake_libcuda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUDA", "11040")
    gpu = find_gpu(fake_libcuda)
    assert isinstance(gpu, Gpu)
    assert gpu.unsuitability == (
        "The driver of Orin supports CUDA 11.4, and 12.0 is needed: update the driver (on a Jetson: JetPack 6), or use "
        "the CPU backend."
    )


@pytest.mark.parametrize("setting", [("FAKE_CUINIT", "100"), ("FAKE_COUNT", "0")])
def test_a_driver_without_a_gpu_is_no_hardware(
    fake_libcuda: str, monkeypatch: pytest.MonkeyPatch, setting: tuple[str, str]
) -> None:
    monkeypatch.setenv(*setting)
    assert find_gpu(fake_libcuda) == NoGpu("The NVIDIA driver sees no GPU.", has_hardware=False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert find_gpu(fake_libcuda) == NoGpu("The NVIDIA driver sees no GPU; CUDA_VISIBLE_DEVICES is ''.", False)


def test_a_driver_that_fails_is_quoted(fake_libcuda: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_CUINIT", "999")
    assert find_gpu(fake_libcuda) == NoGpu(
        "The NVIDIA driver does not start (cuInit: unknown error, 999): restart the machine, or reinstall the driver.",
        has_hardware=True,
    )


def _pci_device(root: Path, vendor: str, device_class: str) -> None:
    device = root / "sys/bus/pci/devices/0000:01:00.0"
    device.mkdir(parents=True)
    (device / "vendor").write_text(f"{vendor}\n")
    (device / "class").write_text(f"{device_class}\n")


def test_without_a_driver_an_nvidia_gpu_on_the_bus_is_named(tmp_path: Path) -> None:
    _pci_device(tmp_path, "0x10de", "0x030000")
    assert find_gpu("libnothing.so", tmp_path) == NoGpu(
        "There is an NVIDIA GPU (PCI 0000:01:00.0), but no driver (libnothing.so): install NVIDIA's driver.",
        has_hardware=True,
    )


@pytest.mark.parametrize("device", [None, ("0x8086", "0x030000"), ("0x10de", "0x040300")], ids=str)
def test_without_a_driver_and_a_gpu_there_is_nothing_to_install(tmp_path: Path, device: tuple[str, str] | None) -> None:
    """An NVIDIA card for sound is no GPU."""
    if device is not None:
        _pci_device(tmp_path, *device)
    assert find_gpu("libnothing.so", tmp_path) == NoGpu(
        "No NVIDIA driver (libnothing.so) is here, and no NVIDIA GPU was found.", has_hardware=False
    )


def test_a_library_that_is_no_driver_is_a_reason(compiler: str) -> None:
    found = find_gpu("libm.so.6")
    assert isinstance(found, NoGpu)
    assert "cuInit is missing in libcuda.so.1" in found.reason
