from pathlib import Path

from gpu.page import report, verdicts
from gpu.results import CudaResults, Figure, ModelFigures, Side, read_results, share_of_bandwidth, write_results
from speed.case import Case
from speed.results import Shape

SHAPE = Shape("8b", file_bytes=2_000_000_000, weight_bytes=1_000_000_000, kv_bytes=100_000, prompt_macs=1)
DECODE = Case("decode", 128)


def results(ours: float, theirs: float | None, *, emulated: bool = False) -> CudaResults:
    figure = Figure(DECODE, Side([ours] * 3, 0.25), None if theirs is None else Side([theirs] * 3))
    return CudaResults(
        command="python benchmarks/cuda_speed.py",
        started="2026-11-30T00:00:00+00:00",
        emulated=emulated,
        gpu={"device": "NVIDIA H200"},
        versions={"cuda-core": "1.2.2"},
        copy_bytes_per_s=4e12,
        idle_w=None,
        notes=[],
        models=[ModelFigures(SHAPE, [figure])],
    )


def test_each_aim_is_judged() -> None:
    assert list(verdicts(results(1500, 500))) == [
        "- 8B tg128, ratio to llama.cpp: 3.00, wanted 2.00: reached",
        "- 8B tg128, tokens/s: 1,500.00, wanted 1,200.00: reached",
    ]
    assert [line.rpartition(" ")[2] for line in verdicts(results(1100, 600))] == ["MISSED", "MISSED"]
    assert len(list(verdicts(results(1500, None)))) == 1


def test_the_share_of_the_bandwidth_counts_weights_and_half_of_the_new_context() -> None:
    share = share_of_bandwidth(results(1, 1), SHAPE, DECODE, speed=2000)
    assert share == 2000 * (1_000_000_000 + 64 * 100_000) / 4e12
    assert share_of_bandwidth(results(1, 1), SHAPE, Case("prefill", 512), speed=2000) is None


def test_emulated_figures_are_marked_and_judged_by_nothing() -> None:
    page = report(results(1500, 500, emulated=True))
    assert "**Emulated on the processor: these speeds say nothing about any GPU.**" in page
    assert "reached" not in page
    assert (
        "| tg128 | 1,500.0 (1,500.0 to 1,500.0) | 500.0 (500.0 to 500.0) | **3.00** | 38 % | 13 % | 0.250 |  |" in page
    )


def test_results_come_back_as_they_were_written(tmp_path: Path) -> None:
    write_results(results(1500, None), tmp_path / "cuda.json")
    assert read_results(tmp_path / "cuda.json") == results(1500, None)
