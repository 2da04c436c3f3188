"""What is MLX's own of the Metal backend, on MLX's CPU; the contract suite holds it against the reference."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest

from agreement import compare_logits
from bonsai_edge.backend import Batch
from bonsai_edge.engine.engine import Engine
from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.checkpoint import Checkpoint, open_checkpoint
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.reference import ReferenceRunner
from bonsai_edge_metal.memory import added_weight_bytes, warn_of_a_small_working_set
from bonsai_edge_metal.runner import MetalRunner
from gguf_files import write_random_model

TOKEN_IDS = np.random.default_rng(0).integers(0, 250, 150).astype(np.int32)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return open_checkpoint(write_random_model(tmp_path_factory.mktemp("metal") / "model.gguf"))


def all_logits(runner) -> np.ndarray:
    with Engine(runner).sequence(64) as sequence:
        return sequence.logits(TOKEN_IDS[:50].tolist())


def one_sequence(positions: list[int], pages: list[int]) -> Batch:
    """Return tokens of one sequence at some positions; the logits of all are wanted."""
    rows = np.arange(len(positions), dtype=np.int32)
    places = np.array(positions, np.int32)
    return Batch(TOKEN_IDS[places], places, np.zeros_like(rows), np.array([pages], np.int32), rows)


def test_float16_as_a_gpu_computes_agrees_with_the_reference(checkpoint: Checkpoint) -> None:
    """Here MLX accumulates in float16 as well, which a GPU does not."""
    expected = all_logits(ReferenceRunner(checkpoint, 8))
    half, single = (all_logits(MetalRunner(checkpoint, 8, KVType.F16, dtype)) for dtype in (mx.float16, mx.float32))
    assert compare_logits(expected, half).mean_kl < 2e-4
    assert compare_logits(expected, single).mean_kl < 1e-6 < compare_logits(expected, half).mean_kl


@pytest.mark.parametrize("position", [10, 3000])
def test_yarn_is_that_of_the_reference_near_and_far(checkpoint: Checkpoint, position: int) -> None:
    """3000 is three times the original context; MLX multiplies positions and frequencies in float32."""
    table = np.arange(position // 32 + 2, dtype=np.int32)[None]
    where = np.arange(position, position + 20, dtype=np.int32)
    zeros, rows = np.zeros(20, np.int32), np.array([19], np.int32)
    found, expected = (
        runner.forward(Batch(TOKEN_IDS[:20], where, zeros, table, rows))
        for runner in (MetalRunner(checkpoint, 100, KVType.F16), ReferenceRunner(checkpoint, 100))
    )
    assert compare_logits(expected, found).least_cosine > 0.999999


def test_pages_are_attended_to_alike_wherever_they_lie(checkpoint: Checkpoint) -> None:
    runner = MetalRunner(checkpoint, 16, KVType.F16)
    positions = list(range(100))
    expected = runner.forward(one_sequence(positions, [4, 5, 6, 7])).copy()
    np.testing.assert_array_equal(runner.forward(one_sequence(positions, [9, 3, 15, 0])), expected)


def test_rows_may_leave_positions_out(checkpoint: Checkpoint) -> None:
    runner = MetalRunner(checkpoint, 4, KVType.F16)
    expected = runner.forward(one_sequence(list(range(40)), [0, 1]))[[3, 20, 39]]
    found = runner.forward(one_sequence([3, 20, 39], [0, 1]))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("kv_type", list(KVType))
def test_a_step_writes_keys_and_values_where_they_lie(checkpoint: Checkpoint, kv_type: KVType) -> None:
    """MLX's arrays are values: a reference too many would copy the cache of a layer, each layer, each step."""
    runner = MetalRunner(checkpoint, 4096, kv_type)
    runner.forward(one_sequence([0], [0]))
    mx.reset_peak_memory()
    before = mx.get_active_memory()
    runner.forward(one_sequence([1], [0]))
    plane_bytes = runner.page_bytes * runner.num_pages // (2 * checkpoint.spec.num_layers)
    assert mx.get_peak_memory() - before < plane_bytes / 4
    assert mx.get_active_memory() - before < plane_bytes / 4


def test_a_model_may_run_in_another_thread_than_it_was_loaded_in(checkpoint: Checkpoint) -> None:
    runner = MetalRunner(checkpoint, 8, KVType.F16)
    expected = all_logits(runner)
    with ThreadPoolExecutor(1) as executor:
        np.testing.assert_array_equal(executor.submit(all_logits, runner).result(60), expected)


def test_pages_of_another_precision_are_told_apart(checkpoint: Checkpoint) -> None:
    layouts = {MetalRunner(checkpoint, 1, KVType.F16, dtype).page_layout for dtype in (mx.float16, mx.float32)}
    assert len(layouts) == 2


def test_the_plan_counts_the_copy_of_the_weights_that_mlx_makes(tmp_path: Path) -> None:
    path = write_random_model(tmp_path / "model.gguf", hidden=1024, intermediate=3072, heads=16)
    checkpoint = open_checkpoint(path)
    before = mx.get_active_memory()
    runner = MetalRunner(checkpoint, 1, KVType.F16)
    taken = mx.get_active_memory() - before - runner.page_bytes
    weight_bytes = sum(tensor.num_bytes for tensor in checkpoint.tensors.values())
    assert taken == pytest.approx(weight_bytes + added_weight_bytes(checkpoint.spec), rel=0.05)


@pytest.mark.parametrize(("recommended", "warnings"), [({"max_recommended_working_set_size": 3 << 30}, 1), ({}, 0)])
def test_more_than_metal_recommends_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, recommended: dict[str, int], warnings: int
) -> None:
    monkeypatch.setattr(mx, "device_info", lambda: recommended)
    plan = MemoryPlan(context=4096, weight_bytes=2 << 30, kv_cache_bytes=1 << 30, runtime_bytes=0)
    warn_of_a_small_working_set(plan, "m")
    warn_of_a_small_working_set(replace(plan, scratch_bytes=1 << 20), "m")
    assert len(caplog.messages) == warnings
    if warnings:
        assert caplog.messages[0].startswith("m needs 3,073 MiB and Metal recommends 3,072 MiB at most")


def test_a_scale_that_cannot_be_doubled_is_refused_by_name(checkpoint: Checkpoint) -> None:
    tensor = checkpoint.tensors["blk.1.ffn_up.weight"]
    packed = tensor.packed.copy()
    packed[3, :2] = np.array([40000.0], "<f2").view(np.uint8)
    tensors = {**checkpoint.tensors, tensor.name: replace(tensor, packed=packed)}
    with pytest.raises(UnsupportedModelError, match=r"'blk\.1\.ffn_up\.weight' has a scale that float16 cannot hold"):
        MetalRunner(replace(checkpoint, tensors=tensors), 1, KVType.F16)
