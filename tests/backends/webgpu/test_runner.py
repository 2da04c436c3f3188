"""What is the WebGPU runner's own; the contract suite holds it against the reference."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import bonsai_edge
from agreement import compare_logits
from bonsai_edge.engine.engine import Engine
from bonsai_edge.errors import BackendUnavailableError, UnsupportedModelError
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge_webgpu.plugin import WebgpuBackend
from conversation_agreement import conversation_logits
from gguf_files import write_random_model

PLAN = MemoryPlan(context=64, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0)


@pytest.mark.usefixtures("backend")
def test_the_embedded_model_agrees_with_the_reference_on_conversations() -> None:
    agreement = compare_logits(*(conversation_logits(name, first=4) for name in ("reference", "webgpu")))
    assert agreement.mean_kl < 5e-4, str(agreement)  # int8 activations
    assert agreement.same_top_share > 0.98, str(agreement)


@pytest.mark.usefixtures("backend")
def test_a_command_has_the_answer_of_the_cpu() -> None:
    answers = []
    for name in ("cpu", "webgpu"):
        with bonsai_edge.load("seedling", backend=name, require_backend=True, context=256) as model:
            result = model.generate_text("turn left 90 degrees", temperature=0, max_tokens=100)
            assert result.finish_reason == "stop"
            answers.append(result.token_ids)
    assert answers[0] == answers[1]


def test_a_model_may_run_in_another_thread_than_it_was_loaded_in(backend: WebgpuBackend, tmp_path: Path) -> None:
    runner = backend.load(open_checkpoint(write_random_model(tmp_path / "model.gguf")), PLAN)

    def logits() -> np.ndarray:
        with Engine(runner).sequence(40) as sequence:
            return sequence.logits(list(range(40)))

    expected = logits()
    with ThreadPoolExecutor(1) as executor:
        np.testing.assert_array_equal(executor.submit(logits).result(60), expected)
    runner.close()


@pytest.mark.parametrize(("most_bytes", "what"), [(20_000, "token_embd.weight"), (70_000, "A KV cache of 4096 tokens")])
def test_what_does_not_fit_into_a_buffer_of_the_gpu_is_refused(
    backend: WebgpuBackend, gpu, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, most_bytes: int, what: str
) -> None:
    path = write_random_model(tmp_path / "model.gguf", hidden=1024)
    plan = MemoryPlan(context=4096 if "KV" in what else 32, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0)
    monkeypatch.setattr(gpu, "most_buffer_bytes", most_bytes)
    with pytest.raises(UnsupportedModelError, match=f"{what} takes .* bytes, and a buffer of this GPU holds"):
        backend.load(open_checkpoint(path), plan)


def test_loading_where_there_is_no_gpu_says_why(
    monkeypatch: pytest.MonkeyPatch, backend: WebgpuBackend, tmp_path
) -> None:
    from bonsai_edge_webgpu import adapter  # noqa: PLC0415  (needs wgpu)

    monkeypatch.setattr(adapter, "open_gpu", lambda: "No driver offers a GPU.")
    with pytest.raises(BackendUnavailableError, match="cannot run here: No driver offers a GPU"):
        backend.load(open_checkpoint(write_random_model(tmp_path / "model.gguf")), PLAN)
