"""The driver that computes on NVIDIA's GPUs, on a driver library that is emulated."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pytest

from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.formats.ggml_types import pack_q1_0
from bonsai_edge_cuda.detection import Gpu, find_gpu
from bonsai_edge_cuda.driver import Driver, Launch
from emulated_gpu import EmulatedLibcuda, emulated_libcuda

ELF = b"\x7fELF.text.repack_q1_0\0.text.embed\0.text.unheard_of\0"


@pytest.fixture(scope="module")
def libcuda() -> EmulatedLibcuda:
    return emulated_libcuda()


@pytest.fixture
def driver(libcuda: EmulatedLibcuda) -> Iterator[Driver]:
    from bonsai_edge_cuda.cuda_core_driver import CudaCoreDriver  # noqa: PLC0415  (needs the library in its place)

    gpu = find_gpu(libcuda.path)
    assert isinstance(gpu, Gpu)
    driver = CudaCoreDriver(gpu)
    driver.load([ELF])
    yield driver
    driver.close()


def floats(driver: Driver, address: int, count: int) -> list[float]:
    values: list[float] = driver.download(address, 4 * count).view(np.float32).tolist()
    return values


def embedding(driver: Driver) -> tuple[Launch, int, int]:
    """Return a launch that looks one token up in a matrix of two rows, where the token's id lies, and where it goes."""
    signs = np.array([[True] * 128, [False] * 128])
    packed = pack_q1_0(signs, np.array([[1.0], [2.0]], np.float16))
    rows, token, out = driver.allocate(packed.nbytes), driver.allocate(4), driver.allocate(512)
    tiles, scales = driver.allocate(512), driver.allocate(64)
    driver.upload(rows, packed)
    numbers = tuple(map(np.int32, (2, 1, 2, 0, 0)))
    driver.launch(Launch("repack_q1_0", (1, 1, 1), 256, (rows, tiles, scales, *numbers)))
    arguments = (token, tiles, scales, out, np.int32(1))
    return Launch("embed", (1, 1, 1), 128, arguments, overlaps=True), token, out


def test_memory_holds_zeros_and_what_is_copied_to_it(driver: Driver) -> None:
    address, other = driver.allocate(4096), driver.allocate(64)
    assert not driver.download(address, 4096).any()
    assert address % 256 == other % 256 == 0
    content = np.arange(16, dtype=np.float32)
    driver.upload(address + 64, content)
    driver.copy(address + 64, other, 64)
    assert floats(driver, other, 16) == content.tolist()
    assert not driver.download(address, 64).any()


def test_shared_memory_has_one_address_for_both_sides(driver: Driver) -> None:
    shared, device = driver.allocate_shared(64), driver.allocate(64)
    assert not shared.array.any()
    shared.array[:] = 7
    driver.copy(shared.address, device, 64)
    assert (driver.download(device, 64) == 7).all()
    driver.upload(device, np.full(64, 9, np.uint8))
    driver.copy(device, shared.address, 64)
    driver.synchronize()
    assert (shared.array == 9).all()


def test_kernels_get_their_arguments(driver: Driver) -> None:
    launch, token, out = embedding(driver)
    driver.launch(launch)
    assert floats(driver, out, 128) == [1.0] * 128
    driver.upload(token, np.array([1], np.int32))
    driver.launch(launch)
    assert floats(driver, out, 128) == [-2.0] * 128


def test_a_graph_does_nothing_while_it_is_recorded_and_everything_each_time_it_is_launched(driver: Driver) -> None:
    launch, token, out = embedding(driver)
    shared = driver.allocate_shared(4)

    def work() -> None:
        driver.copy(shared.address, token, 4)
        driver.launch(launch)

    graph = driver.record(work)
    assert not driver.download(out, 512).any()
    for token_id, value in ((0, 1.0), (1, -2.0), (0, 1.0)):
        shared.array.view(np.int32)[0] = token_id
        graph.launch()
        assert floats(driver, out, 128) == [value] * 128


def test_launches_that_overlap_ask_for_programmatic_dependent_launch(libcuda: EmulatedLibcuda, driver: Driver) -> None:
    launch, _, _ = embedding(driver)
    before = libcuda.num_overlapping
    driver.launch(launch)
    assert libcuda.num_overlapping == before + 1


def test_another_thread_may_go_on(driver: Driver) -> None:
    """As a server's compute thread does with a model that the main thread has loaded."""
    address = driver.allocate(16)
    driver.upload(address, np.ones(4, np.float32))
    found: list[list[float]] = []
    thread = threading.Thread(target=lambda: found.append(floats(driver, address, 4)))
    thread.start()
    thread.join()
    assert found == [[1.0] * 4]
    assert floats(driver, address, 4) == [1.0] * 4


def test_work_is_timed_on_the_device(driver: Driver) -> None:
    launch, _, _ = embedding(driver)
    assert 0 < driver.time(lambda: driver.launch(launch)) < 1


def test_memory_that_is_not_there_is_a_memory_error(libcuda: EmulatedLibcuda, driver: Driver) -> None:
    with pytest.raises(MemoryError, match="the memory of Emulated GPU is full"):
        driver.allocate(1 << 40)
    assert driver.free_bytes() == 4 << 30


def test_closing_gives_all_memory_back(libcuda: EmulatedLibcuda, driver: Driver) -> None:
    before = libcuda.allocated_bytes
    driver.allocate(1 << 20)
    driver.allocate_shared(1 << 10)
    assert libcuda.allocated_bytes > before
    driver.close()
    assert libcuda.allocated_bytes == before == 0


@pytest.mark.parametrize(("code", "cause"), [(b"no code", "Emulated GPU failed: "), (b"", "Emulated GPU failed: ")])
def test_code_that_is_none_is_refused(driver: Driver, code: bytes, cause: str) -> None:
    with pytest.raises(BackendUnavailableError, match=cause) as caught:
        driver.load([code])
    assert caught.value.remedy.startswith("Restart the program; ")


def test_a_kernel_that_is_not_there_is_named(driver: Driver) -> None:
    with pytest.raises(BackendUnavailableError, match="no kernel 'sing' is loaded"):
        driver.launch(Launch("sing", (1, 1, 1), 32, ()))


def test_a_launch_that_the_driver_refuses_is_an_error(driver: Driver) -> None:
    launch, _, _ = embedding(driver)
    with pytest.raises(BackendUnavailableError, match="Emulated GPU failed"):
        driver.launch(Launch(launch.kernel, launch.grid, 64, launch.arguments))
