"""A GPU that shares the machine's memory, as a Jetson's does: what is counted, and who decides whether it is taken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bonsai_edge import backend_selection, plugin_manager
from bonsai_edge.backend import Availability, Backend
from bonsai_edge.backend_selection import select_backend
from bonsai_edge.device import DeviceProfile, MemoryLimit
from bonsai_edge.formats.checkpoint import Checkpoint, open_checkpoint
from bonsai_edge.measuring import keeping
from bonsai_edge.measuring.trial import TrialResult
from bonsai_edge.memory.plan import MemoryPlan, plan_memory
from bonsai_edge.reference import ReferenceBackend
from bonsai_edge_cuda.plugin import CudaBackend
from emulated_gpu import EmulatedCudaBackend, emulated_libcuda
from gguf_files import write_random_model

GIB = 1 << 30
RESIDENT_BYTES = 100 << 20


@pytest.fixture
def backend() -> Iterator[CudaBackend]:
    emulated_libcuda().set_integrated(True)
    yield EmulatedCudaBackend()
    emulated_libcuda().set_integrated(False)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return open_checkpoint(write_random_model(tmp_path_factory.mktemp("shared") / "model.gguf"))


def plan(checkpoint: Checkpoint, backend: CudaBackend, *, counts_mapped: bool = True) -> MemoryPlan:
    limit = MemoryLimit("cgroup", 8 * GIB - RESIDENT_BYTES, 8 * GIB, counts_mapped=counts_mapped)
    board = DeviceProfile("board", "aarch64", 8 * GIB, (limit,), RESIDENT_BYTES, 6)
    return plan_memory(checkpoint, board, backend, context=256)


def test_weights_count_once_and_all_is_held_against_the_memory_of_the_machine(
    backend: CudaBackend, checkpoint: Checkpoint
) -> None:
    made = plan(checkpoint, backend)
    assert made.device_memory is None
    assert (made.limit_source, made.limit_bytes) == ("cgroup", 8 * GIB)
    assert made.components["weights"] == checkpoint.num_bytes
    assert "weights_copy" not in made.components
    assert made.total_bytes == sum(made.components.values())
    assert {"weights", "kv_cache", "scratch", "interpreter"} <= set(made.counted_components)


def test_the_copy_counts_where_the_mapped_file_would_not(backend: CudaBackend, checkpoint: Checkpoint) -> None:
    made = plan(checkpoint, backend, counts_mapped=False)
    assert made.limit_bytes == 8 * GIB
    assert made.components["weights"] == checkpoint.num_bytes


def test_with_memory_of_its_own_the_process_counts_without_the_weights(
    backend: CudaBackend, checkpoint: Checkpoint
) -> None:
    shared = plan(checkpoint, backend).predicted_peak_bytes
    emulated_libcuda().set_integrated(False)
    own = plan(checkpoint, backend)
    assert own.device_memory == "the memory of Emulated GPU"
    assert shared - own.predicted_peak_bytes > checkpoint.num_bytes


class SureBackend(ReferenceBackend):
    """Stands for the CPU: sure of its score."""

    name = "cpu"

    def probe(self) -> Availability:
        return Availability(True, "It works.", score=100)


@pytest.mark.parametrize(("gpu_s", "chosen"), [(0.5, "cuda"), (2.0, "cpu"), (None, "cpu")], ids=str)
def test_a_trial_against_the_cpu_decides(
    backend: CudaBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gpu_s: float | None, chosen: str
) -> None:
    """What is measured is given here; that it is asked for, and followed, is the point."""
    asked: list[list[str]] = []

    def measured(contenders: Sequence[Backend], threads: int, available_bytes: int) -> tuple[TrialResult, ...]:
        asked.append([each.name for each in contenders])
        cpu = TrialResult("cpu", 32.0, 1e12)
        if gpu_s is None:
            return cpu, TrialResult("cuda", failure="out of memory")
        gpu = TrialResult("cuda", 32 / gpu_s, 1e12)
        return (gpu, cpu) if gpu_s < 1 else (cpu, gpu)

    for module in (plugin_manager, backend_selection):
        monkeypatch.setattr(module, "installed_backends", lambda: [SureBackend(), backend])
    monkeypatch.setattr(backend_selection, "run_trial", measured)
    monkeypatch.setattr(keeping.platformdirs, "user_cache_path", lambda name: tmp_path / name)
    assert select_backend("auto").backend.name == chosen
    assert asked == [["cuda", "cpu"]]


def test_a_probe_says_that_memory_is_shared_and_a_trial_is_needed(backend: CudaBackend) -> None:
    found = backend.probe()
    assert found.available
    assert found.needs_trial
    assert found.details["memory"] == "shared with the processor"
    emulated_libcuda().set_integrated(False)
    assert not backend.probe().needs_trial
