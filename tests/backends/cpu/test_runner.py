import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import interrupted_steps
from bonsai_edge.backend import Batch
from bonsai_edge.engine.engine import Engine
from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.reference import ReferenceBackend
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


@pytest.mark.parametrize("ggml_type", ["F32", "F16", "BF16", "Q8_0"])
def test_weights_that_are_not_1_bit_agree_with_the_reference(tmp_path: Path, ggml_type) -> None:
    path = write_random_model(tmp_path / "model.gguf", ggml_type=ggml_type)
    assert cosine(all_logits(path), all_logits(path, ReferenceBackend())) > 0.999999  # the KV cache is float16


@pytest.mark.parametrize(
    "shape",
    [
        {"heads": 4, "kv_heads": 2, "head_dim": 64},
        {"heads": 2, "kv_heads": 2, "head_dim": 128, "tied": False},
        {"hidden": 128, "heads": 4, "kv_heads": 1, "head_dim": 64, "yarn": False},
        {"hidden": 384, "intermediate": 128, "heads": 8, "kv_heads": 4, "head_dim": 16, "layers": 1},
    ],
    ids=str,
)
def test_1_bit_weights_agree_with_the_reference(tmp_path: Path, shape) -> None:
    path = write_random_model(tmp_path / "model.gguf", **shape)
    assert cosine(all_logits(path), all_logits(path, ReferenceBackend())) > 0.999  # int8 activations


@pytest.mark.parametrize("plan", QUANTIZED, ids=lambda plan: plan.kv_type.value)
def test_a_quantized_cache_agrees_with_the_reference_that_rounds_alike(tmp_path: Path, plan) -> None:
    path = write_random_model(tmp_path / "model.gguf", ggml_type="F32")  # whose activations are not rounded
    exact, rounded = all_logits(path, ReferenceBackend()), all_logits(path, ReferenceBackend(), plan=plan)
    found = all_logits(path, plan=plan)
    assert 1 - cosine(found, rounded) < 0.1 * (1 - cosine(found, exact)) < 0.01


@pytest.mark.parametrize("plan", QUANTIZED, ids=lambda plan: plan.kv_type.value)
def test_the_logits_of_a_quantized_cache_do_not_depend_on_the_threads(model_path: Path, plan) -> None:
    assert all_logits(model_path, plan=plan).tobytes() == all_logits(model_path, threads=3, plan=plan).tobytes()


@pytest.mark.parametrize("plan", QUANTIZED, ids=lambda plan: plan.kv_type.value)
def test_heads_that_do_not_divide_into_groups_are_refused_for_a_quantized_cache(tmp_path: Path, plan) -> None:
    path = write_random_model(tmp_path / "model.gguf", hidden=384, heads=8, kv_heads=4, head_dim=16)
    with pytest.raises(UnsupportedModelError, match="have 16 values, not a multiple of 32") as caught:
        CpuBackend().load(open_checkpoint(path), plan)
    assert caught.value.remedy == "Use the KV type f16."


@pytest.mark.parametrize("plan", [PLAN, *QUANTIZED], ids=lambda plan: plan.kv_type.value)
def test_a_page_that_is_copied_or_carried_to_another_runner_gives_the_same_logits(model_path: Path, plan) -> None:
    checkpoint = open_checkpoint(model_path)
    first, second = (CpuBackend().load(checkpoint, plan) for _ in range(2))

    def step(runner, token_ids, start, pages):
        positions = np.arange(start, start + len(token_ids), dtype=np.int32)
        zeros, tables = np.zeros(len(token_ids), np.int32), np.array([pages], np.int32)
        batch = Batch(np.array(token_ids, np.int32), positions, zeros, tables, positions[-1:] - start)
        return runner.forward(batch).copy()

    step(first, TOKEN_IDS[:40], 0, [0, 1])
    for page in range(2):
        first.copy_page(page, page + 2)
        second.write_page(5 - page, first.read_page(page))
    assert first.read_page(0).shape == (first.page_bytes,)
    expected = step(first, TOKEN_IDS[40:45], 40, [0, 1])
    assert step(first, TOKEN_IDS[40:45], 40, [2, 3]).tobytes() == expected.tobytes()
    assert step(second, TOKEN_IDS[40:45], 40, [5, 4]).tobytes() == expected.tobytes()
    first.close()
    second.close()


@pytest.mark.parametrize(("plan", "tolerance"), [(PLAN, 2e-3), (QUANTIZED[0], 0.02), (QUANTIZED[1], 0.3)])
def test_keys_that_are_moved_are_those_of_the_other_positions(model_path: Path, plan, tolerance) -> None:
    """Of the first layer, whose keys depend on nothing but their token and its position."""
    runner = CpuBackend().load(open_checkpoint(model_path), plan)
    zeros, tables = np.zeros(32, np.int32), np.arange(8, dtype=np.int32)[None]
    for start in (64, 160):
        positions = np.arange(start, start + 32, dtype=np.int32)
        runner.forward(Batch(np.array(TOKEN_IDS[:32], np.int32), positions, zeros, tables, zeros[:0]))
    near, far = runner._kv_pages.load_keys(2)[0], runner._kv_pages.load_keys(5)[0]
    assert np.abs(near - far).max() > 10 * tolerance
    runner.rotate_keys(5, -96)
    moved = runner._kv_pages.load_keys(5)[0]
    assert np.abs(moved - near).max() <= tolerance * np.abs(near).max()
    runner.close()


@pytest.fixture(scope="module")
def model_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_random_model(tmp_path_factory.mktemp("cpu") / "model.gguf")


@pytest.mark.parametrize("threads", [2, 3])
def test_logits_do_not_depend_on_the_number_of_threads(model_path: Path, threads: int) -> None:
    np.testing.assert_array_equal(all_logits(model_path, threads=threads), all_logits(model_path))


def test_decoding_gives_the_same_bits_as_prefilling(model_path: Path) -> None:
    engine = Engine(CpuBackend().load(open_checkpoint(model_path), PLAN, 2))
    with engine.sequence(len(TOKEN_IDS)) as sequence:
        sequence.prefill(TOKEN_IDS[:100])
        decoded = np.array([sequence.decode(token_id) for token_id in TOKEN_IDS[100:]])
    engine.runner.close()
    np.testing.assert_array_equal(decoded, all_logits(model_path)[100:])


def test_sequences_in_one_batch_do_not_touch_one_another(model_path: Path) -> None:
    runner = CpuBackend().load(open_checkpoint(model_path), PLAN, 2)
    lengths = (3, 40, 1)
    pages = np.array([[5, -1], [2, 0], [7, -1]], np.int32)
    token_ids = [TOKEN_IDS[start : start + length] for start, length in zip((0, 3, 43), lengths, strict=True)]
    batch = Batch(
        token_ids=np.concatenate(token_ids).astype(np.int32),
        positions=np.concatenate([np.arange(length) for length in lengths]).astype(np.int32),
        sequence_ids=np.repeat(np.arange(3), lengths).astype(np.int32),
        page_tables=pages,
        logit_rows=np.array([2, 42, 43], np.int32),
    )
    together = runner.forward(batch).copy()
    for sequence_id, ids in enumerate(token_ids):
        with Engine(runner).sequence(64) as sequence:
            alone = sequence.prefill(ids)
        np.testing.assert_array_equal(together[sequence_id], alone)
    runner.close()


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
