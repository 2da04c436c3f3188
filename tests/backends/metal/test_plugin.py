"""The probe says why the backend cannot run, and leaves machines without Metal to others."""

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError

import pytest

from bonsai_edge_metal import plugin, smoke_test
from bonsai_edge_metal.plugin import MetalBackend


@pytest.fixture
def apple(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(platform, "machine", lambda: "arm64")


def _without_mlx(name: str) -> str:
    raise PackageNotFoundError(name)


def test_mlx_on_the_cpu_is_usable_for_tests_and_never_chosen_by_itself() -> None:
    found = MetalBackend().probe()
    assert found.available
    assert found.score == 0
    assert found.reason == "MLX passes its smoke test on the CPU; without Metal it is for tests."


@pytest.mark.parametrize(("machine", "system"), [("x86_64", "Darwin"), ("aarch64", "Linux")])
def test_another_machine_is_told_what_metal_needs(monkeypatch: pytest.MonkeyPatch, machine: str, system: str) -> None:
    monkeypatch.setattr(plugin, "version", _without_mlx)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(platform, "system", lambda: system)
    found = MetalBackend().probe()
    assert not found.available
    assert found.score == 0
    assert found.reason == f"Metal needs a Mac with Apple silicon; this is {system} on {machine}."


@pytest.mark.usefixtures("apple")
def test_a_mac_without_mlx_is_told_how_to_install_it_and_keeps_its_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin, "version", _without_mlx)
    found = MetalBackend().probe()
    assert not found.available
    assert found.score > 100
    assert found.reason == "MLX is not installed; run: pip install 'bonsai-edge[metal]'."


@pytest.mark.parametrize("installed", ["0.32.3", "0.9.0", "0.32.3.dev20260801"])
def test_an_mlx_without_1_bit_kernels_is_named_with_the_least_version(
    monkeypatch: pytest.MonkeyPatch, installed: str
) -> None:
    monkeypatch.setattr(plugin, "version", lambda name: installed)
    assert MetalBackend().probe().reason == (
        f"MLX {installed} has no 1-bit kernels, which came with 0.32.4; run: pip install --upgrade mlx."
    )


@pytest.mark.parametrize("installed", ["0.32.4", "0.33.0", "1.0"])
def test_later_versions_are_taken(monkeypatch: pytest.MonkeyPatch, installed: str) -> None:
    monkeypatch.setattr(plugin, "version", lambda name: installed)
    assert MetalBackend().probe().available


def test_an_mlx_that_cannot_be_imported_is_named_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Linux without the extra [cpu], where its library is missing."""
    monkeypatch.setitem(sys.modules, "mlx.core", None)
    reason = MetalBackend().probe().reason
    assert "cannot be imported (import of mlx.core halted; None in sys.modules); run: pip install" in reason


def test_a_failed_smoke_test_is_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    smoke_test.smoke_test_failure.cache_clear()
    multiply = smoke_test.mx.quantized_matmul
    monkeypatch.setattr(smoke_test.mx, "quantized_matmul", lambda x, *rest: multiply(-x, *rest))
    found = MetalBackend().probe()
    smoke_test.smoke_test_failure.cache_clear()
    assert not found.available
    assert "fails the smoke test: the product for 1 tokens begins with" in found.reason


def test_describing_the_backend_imports_no_mlx() -> None:
    code = "import sys, bonsai_edge_metal.plugin as p; p.bonsai_backends(); print('mlx' in sys.modules)"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert child.stdout.strip() == "False"
