"""What the backend says of its memory before loading is what it takes."""

from pathlib import Path

import pytest

from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge_cpu import kernel_cache
from bonsai_edge_cpu.plugin import CpuBackend
from gguf_files import write_random_model
from random_bonsai import SPECS


@pytest.mark.parametrize("kv_type", CpuBackend.kv_types)
def test_size_of_a_page_is_the_runners(tmp_path: Path, kv_type: KVType) -> None:
    checkpoint = open_checkpoint(write_random_model(tmp_path / "model.gguf"))
    plan = MemoryPlan(context=64, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0, kv_type=kv_type)
    runner = CpuBackend().load(checkpoint, plan)
    try:
        assert CpuBackend().page_bytes(checkpoint.spec, kv_type) == runner.page_bytes
    finally:
        runner.close()


def test_scratch_has_a_row_of_logits_for_each_sequence() -> None:
    spec = SPECS["8b"]
    one, three = (CpuBackend().scratch_bytes(spec, 2, sequences) for sequences in (1, 3))
    assert three - one == 2 * 4 * spec.vocab_size
    activations = 64 * 4 * (2 * spec.hidden_size + 2 * spec.attention_size + 2 * spec.kv_size)
    gates = 64 * 4 * 2 * spec.intermediate_size
    assert activations + gates < one < 1.3 * (activations + gates)


def test_scratch_grows_with_the_threads() -> None:
    one, four = (CpuBackend().scratch_bytes(SPECS["tiny"], threads, 1) for threads in (1, 4))
    assert 0 < four - one < 1 << 20


def test_compiler_counts_unless_its_work_is_kept_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_cache, "kernel_folder", lambda: tmp_path)
    cold = CpuBackend().compiler_bytes()
    (tmp_path / "bonsai_edge_cpu.step").mkdir()
    assert CpuBackend().compiler_bytes() == cold
    (tmp_path / "bonsai_edge_cpu.step" / "run_step-39.py311.1.nbc").touch()
    assert CpuBackend().compiler_bytes() < cold / 10
    monkeypatch.setattr(kernel_cache, "kernel_folder", lambda: None)
    assert CpuBackend().compiler_bytes() == cold
