"""The mobile runner against the CPU backend, whose arithmetic it has."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bonsai_edge.backend import Backend
from bonsai_edge.cpu_step.isa_choice import ISA_VARIABLE
from bonsai_edge.engine.engine import Engine
from bonsai_edge.errors import BackendUnavailableError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge_cpu.plugin import CpuBackend
from bonsai_edge_mobile.library import load_kernels
from gguf_files import write_random_model
from mobile_kernels import mobile_backend

TOKEN_IDS: list[int] = np.random.default_rng(0).integers(0, 250, 80).tolist()
SLOWEST = "portable" if platform.machine() == "x86_64" else "neon"


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("mobile") / "model.gguf")


def logits(backend: Backend, path: Path, kv_type: KVType, threads: int) -> npt.NDArray[np.float32]:
    """Return the logits of a prompt and of some tokens after it, one by one."""
    plan = MemoryPlan(context=256, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0, kv_type=kv_type)
    runner = backend.load(open_checkpoint(path), plan, threads)
    try:
        with Engine(runner).sequence(len(TOKEN_IDS)) as sequence:
            steps = [sequence.logits(TOKEN_IDS[:60]), *(sequence.logits([token]) for token in TOKEN_IDS[60:])]
    finally:
        runner.close()
    return np.concatenate(steps)


@pytest.mark.parametrize("kv_type", KVType)
def test_logits_are_those_of_the_cpu_backend(model_path: Path, kv_type: KVType) -> None:
    """Both fuse the same multiplications and additions: the same bits, on the same instruction set."""
    found, expected = (logits(backend, model_path, kv_type, 1) for backend in (mobile_backend(), CpuBackend()))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("threads", [2, 3])
def test_threads_change_no_bit(model_path: Path, threads: int) -> None:
    backend = mobile_backend()
    np.testing.assert_array_equal(
        logits(backend, model_path, KVType.Q8, threads), logits(backend, model_path, KVType.Q8, 1)
    )


def test_slowest_variant_is_as_right(model_path: Path, tmp_path: Path) -> None:
    """In a process of its own, since the variant is chosen once.

    Plain x86-64 cannot fuse a multiplication with an addition, so that some activations are rounded another way.
    """
    expected = logits(mobile_backend(), model_path, KVType.F16, 1)
    code = (
        "import sys, pathlib, numpy as np\n"
        "from test_runner import logits, mobile_backend, KVType\n"
        "model, out = map(pathlib.Path, sys.argv[1:])\n"
        "np.save(out, logits(mobile_backend(), model, KVType.F16, 1))\n"
    )
    saved = tmp_path / "logits.npy"
    support = Path(__file__).parents[2] / "support"
    environment = os.environ | {ISA_VARIABLE: SLOWEST, "PYTHONPATH": f"{Path(__file__).parent}:{support}"}
    command = [sys.executable, "-c", code, str(model_path), str(saved)]
    subprocess.run(command, env=environment, check=True, timeout=120)
    found = np.load(saved)
    cosine = (found * expected).sum() / np.sqrt((found * found).sum() * (expected * expected).sum())
    assert cosine > 0.9999


def test_library_for_other_arguments_is_refused(model_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backend, kernels = mobile_backend(), load_kernels()
    monkeypatch.setattr(kernels, "step_signature", "(i8)")
    plan = MemoryPlan(context=256, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0)
    with pytest.raises(BackendUnavailableError, match="was built from other sources than this version's"):
        backend.load(open_checkpoint(model_path), plan)
