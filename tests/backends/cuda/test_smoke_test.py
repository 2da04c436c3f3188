from collections.abc import Iterator

import numpy as np
import pytest

from bonsai_edge_cuda.driver import Driver, Launch
from bonsai_edge_cuda.plugin import CudaBackend
from bonsai_edge_cuda.smoke_test import smoke_test_failure
from emulated_gpu import EmulatedCudaBackend, emulated_libcuda


@pytest.fixture(scope="module")
def backend() -> CudaBackend:
    return EmulatedCudaBackend()


@pytest.fixture
def driver(backend: CudaBackend) -> Iterator[Driver]:
    driver = backend._open(backend._gpu())
    yield driver
    driver.close()


def test_a_gpu_that_computes_right_passes(driver: Driver) -> None:
    assert smoke_test_failure(driver) is None


def test_a_gpu_that_computes_wrong_is_found_out(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    launch = driver.launch

    def launch_with_another_eps(asked: Launch) -> None:
        arguments = [np.float32(0.3) if isinstance(each, np.float32) else each for each in asked.arguments]
        launch(Launch(asked.kernel, asked.grid, asked.num_threads, arguments))

    monkeypatch.setattr(driver, "launch", launch_with_another_eps)
    failure = smoke_test_failure(driver)
    assert failure is not None
    assert failure.startswith("a product is wrong by ")


def test_a_probe_names_the_gpu_and_gives_its_memory_back(backend: CudaBackend) -> None:
    availability = backend.probe()
    assert availability.available
    assert availability.reason == "The kernels pass their smoke test on Emulated GPU."
    assert availability.details["compute_capability"] == "9.0"
    assert availability.score > 100
    assert emulated_libcuda().allocated_bytes == 0


def test_a_probe_quotes_why_the_kernels_cannot_be_used(backend: CudaBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "_code", lambda gpu: [b"for another machine"])
    availability = backend.probe()
    assert not availability.available
    assert availability.reason.startswith("Emulated GPU failed: ")
    assert availability.score > 100


def test_memory_of_its_own_is_what_is_free_on_the_gpu(backend: CudaBackend) -> None:
    memory = backend.device_memory()
    assert memory is not None
    assert (memory.source, memory.available_bytes) == ("the memory of Emulated GPU", 4 << 30)
