import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import interrupted_steps
from bonsai_edge.backend import Batch
from bonsai_edge.engine.engine import Engine
from bonsai_edge.errors import UnsupportedModelError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge.reference import ReferenceBackend
from bonsai_edge_cpu.kernel_cache import CACHE_VARIABLE
from bonsai_edge_cpu.plugin import CpuBackend
from gguf_files import write_random_model

PLAN = MemoryPlan(context=256, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0)
TOKEN_IDS = np.random.default_rng(0).integers(0, 250, 150).tolist()


def all_logits(path: Path, backend=None, threads: int = 1) -> np.ndarray:
    runner = (backend or CpuBackend()).load(open_checkpoint(path), PLAN, threads)
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
