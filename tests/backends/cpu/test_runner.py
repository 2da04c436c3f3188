import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import interrupted_steps
from bonsai_edge.engine.engine import Engine
from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.reference import ReferenceBackend
from bonsai_edge.rope import Rope
from bonsai_edge_cpu.kernel_cache import CACHE_VARIABLE
from bonsai_edge_cpu.plugin import CpuBackend
from gguf_files import write_random_model

PLAN = MemoryPlan(context=256, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0)
QUANTIZED = [replace(PLAN, kv_type=kv_type) for kv_type in (KVType.Q8, KVType.Q4)]
TOKEN_IDS = np.random.default_rng(0).integers(0, 250, 150).tolist()


def all_logits(path: Path, backend=None, threads: int = 1, plan: MemoryPlan = PLAN) -> np.ndarray:
    runner = (backend or CpuBackend()).load(open_checkpoint(path), plan, threads)
    try:
        with Engine(runner).sequence(len(TOKEN_IDS)) as sequence:
            return sequence.logits(TOKEN_IDS)
    finally:
        runner.close()


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float((a * b).sum() / np.sqrt((a * a).sum() * (b * b).sum()))


@pytest.mark.parametrize("plan", QUANTIZED, ids=lambda plan: plan.kv_type.value)
def test_a_quantized_cache_agrees_with_the_reference_that_rounds_alike(tmp_path: Path, plan) -> None:
    path = write_random_model(tmp_path / "model.gguf", ggml_type="F32")  # whose activations are not rounded
    exact, rounded = all_logits(path, ReferenceBackend()), all_logits(path, ReferenceBackend(), plan=plan)
    found = all_logits(path, plan=plan)
    assert 1 - cosine(found, rounded) < 0.1 * (1 - cosine(found, exact)) < 0.01


@pytest.mark.parametrize("plan", QUANTIZED, ids=lambda plan: plan.kv_type.value)
def test_the_logits_of_a_quantized_cache_do_not_depend_on_the_threads(model_path: Path, plan) -> None:
    assert all_logits(model_path, plan=plan).tobytes() == all_logits(model_path, threads=3, plan=plan).tobytes()


@pytest.mark.parametrize("plan", [PLAN, *QUANTIZED], ids=lambda plan: plan.kv_type.value)
def test_keys_are_moved_as_numpy_would_to_the_last_bit(model_path: Path, plan) -> None:
    runner = CpuBackend().load(open_checkpoint(model_path), plan)
    spec, pages = runner.spec, runner.kv_pages
    shape = (spec.num_layers, 2, spec.num_kv_heads, 32, spec.head_dim)
    rng = np.random.default_rng(0)
    content = rng.normal(scale=rng.choice([0, 1e-3, 1, 100], shape[:-1])[..., None], size=shape).astype(np.float32)
    runner.write_page(3, pages.encode(content).reshape(-1))
    numbers = pages.decode(runner.read_page(3).reshape(*shape[:3], -1))
    runner.rotate_keys(3, -96)
    numbers[:, 0] = Rope(spec).move(numbers[:, 0], -96)
    assert runner.read_page(3).tobytes() == pages.encode(numbers).tobytes()
    assert not runner.read_page(2).any()
    assert not runner.read_page(4).any()
    runner.close()


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("cpu") / "model.gguf")


@pytest.mark.parametrize("threads", [2, 3])
def test_logits_do_not_depend_on_the_number_of_threads(model_path: Path, threads: int) -> None:
    np.testing.assert_array_equal(all_logits(model_path, threads=threads), all_logits(model_path))


def test_width_that_the_kernels_cannot_split_is_refused_by_name(tmp_path: Path) -> None:
    path = write_random_model(tmp_path / "model.gguf", heads=16, kv_heads=2, head_dim=8)
    with pytest.raises(UnsupportedModelError, match=r"'qwen3.attention.key_length' of .* is 8; .* multiples of 16"):
        CpuBackend().load(open_checkpoint(path), PLAN, 1)


def test_an_interrupt_while_the_threads_are_started_leaves_no_thread_waiting(model_path: Path) -> None:
    """Ctrl-C raises KeyboardInterrupt anywhere in the main thread; the next step must still work."""
    child = subprocess.run(
        [sys.executable, interrupted_steps.__file__, str(model_path)], capture_output=True, text=True, timeout=120
    )
    assert child.stdout.splitlines()[-1:] == ["finished"], child.stderr


def test_damaged_files_in_the_kernel_cache_are_compiled_anew(tmp_path: Path) -> None:
    code = "from bonsai_edge_cpu.plugin import CpuBackend; print(CpuBackend().probe().available)"
    environment = os.environ | {CACHE_VARIABLE: str(tmp_path)}

    def probe() -> str:
        command = [sys.executable, "-c", code]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120).stdout.strip()

    assert probe() == "True"
    kept = list(tmp_path.rglob("*.nb[ic]"))
    assert kept
    for path in kept:  # what a power cut leaves
        path.write_bytes(b"")
    assert probe() == "True"
    assert all(path.stat().st_size > 0 for path in tmp_path.rglob("*.nbi"))
