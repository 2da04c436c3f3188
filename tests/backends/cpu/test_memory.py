"""What the backend says of its memory before loading is what it takes."""

from dataclasses import replace
from pathlib import Path

import pytest
from numba.core.caching import NullCache

from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.kv_cache import KVType
from bonsai_edge.memory.plan import MemoryPlan
from bonsai_edge_cpu.plugin import CpuBackend
from bonsai_edge_cpu.step import run_step
from gguf_files import write_random_model
from random_bonsai import SPECS

PLAN = MemoryPlan(context=64, weight_bytes=0, kv_cache_bytes=0, runtime_bytes=0)


@pytest.mark.parametrize("kv_type", CpuBackend.kv_types)
def test_size_of_a_page_is_the_runners(tmp_path: Path, kv_type: KVType) -> None:
    checkpoint = open_checkpoint(write_random_model(tmp_path / "model.gguf"))
    runner = CpuBackend().load(checkpoint, replace(PLAN, kv_type=kv_type))
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


def test_compiler_counts_unless_its_work_for_that_type_and_processor_is_kept_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = open_checkpoint(write_random_model(tmp_path / "model.gguf"))
    CpuBackend().load(checkpoint, replace(PLAN, kv_type=KVType.Q8)).close()
    index_file = run_step._cache._cache_file
    kept = {key: name for key, name in index_file._load_index().items() if "Q8Planes" in str(key[0])}
    sizes = {}
    for case, index in {
        "kept": kept,
        "none": {},
        "another processor": {(sig, ("triple", "486", ""), hashes): name for (sig, _, hashes), name in kept.items()},
    }.items():
        monkeypatch.setattr(index_file, "_load_index", lambda index=index: index)
        sizes[case] = [CpuBackend().compiler_bytes(each) for each in KVType]
    cold, warm = sizes["none"][0], sizes["kept"][1]
    assert 0 < 10 * warm < cold
    assert sizes == {"kept": [cold, warm, cold], "none": [cold] * 3, "another processor": [cold] * 3}


def test_damaged_index_of_the_kernels_is_logged_and_counts_as_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "index").write_bytes(b"damaged")
    monkeypatch.setattr(run_step._cache._cache_file, "_index_path", str(tmp_path / "index"))
    cold = CpuBackend().compiler_bytes(KVType.F16)
    assert [record.getMessage().split(" of ")[0] for record in caplog.records] == ["The index"]
    assert cold > 100_000_000


def test_kernels_that_can_be_kept_nowhere_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_step, "_cache", NullCache())
    assert CpuBackend().compiler_bytes(KVType.F16) > 100_000_000
