"""Loads in processes of their own, and what is measured of a loaded model."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

import bonsai_edge
from bonsai_edge.formats.checkpoint import open_checkpoint
from bonsai_edge.profiling import loading, model_run, model_speeds
from bonsai_edge.profiling.loading import LoadFailedError, measure_load, measure_loads
from bonsai_edge.profiling.model_run import profile_model
from bonsai_edge.profiling.model_speeds import measure_speeds, percentiles
from bonsai_edge.profiling.progress import Progress
from bonsai_edge.profiling.sampling import Recording
from bonsai_edge.sensors import Quantity, Unavailable
from gguf_files import write_random_model
from sample_profile import MEASUREMENTS, MODEL

KEYWORDS = {"backend": "reference", "context": 64, "threads": 1}
NO_SENSOR = [Unavailable(Quantity.POWER, "rapl", "only root may read it")]


@pytest.fixture
def model_path(tmp_path: Path) -> Path:
    return write_random_model(tmp_path / "random.gguf")


@pytest.fixture
def stages() -> list[str]:
    return []


@pytest.fixture
def progress(stages: list[str]) -> Progress:
    return Progress(stages.append, lambda seconds: None)


def test_a_fresh_process_tells_what_loading_took(model_path: Path) -> None:
    load = measure_load(model_path, KEYWORDS, os.environ)
    assert 0 < load.load_s < 60
    assert 0 < load.first_token_s < 60
    assert 20 << 20 < load.peak_bytes < 4 << 30


def test_a_load_that_fails_says_what_the_process_said(tmp_path: Path) -> None:
    with pytest.raises(LoadFailedError, match=r"A process that loads absent\.gguf failed: .*There is no model file"):
        measure_load(tmp_path / "absent.gguf", KEYWORDS, os.environ)


def test_the_first_load_finds_no_kernels_and_the_others_do(
    model_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress, stages: list[str]
) -> None:
    kernel_caches: list[str | None] = []

    def note(path, keywords, environment):
        kernel_caches.append(environment.get("BONSAI_EDGE_KERNEL_CACHE"))
        return MODEL.loads.warm

    monkeypatch.setenv("BONSAI_EDGE_KERNEL_CACHE", "/kernels")
    monkeypatch.setattr(loading, "measure_load", note)
    monkeypatch.setattr(loading, "_drop_from_page_cache", lambda path: False)
    loads = measure_loads(model_path, KEYWORDS, progress)
    assert kernel_caches[0] not in (None, "/kernels")
    assert kernel_caches[1:] == ["/kernels", "/kernels"]
    assert loads.cold is None
    assert stages == ["load, kernels not compiled", "load, file not cached", "load, all cached"]


def test_tests_are_as_long_as_the_time_and_the_context_allow(
    model_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress
) -> None:
    monkeypatch.setattr(model_speeds, "_DEPTHS", (40, 100, 1000))
    with bonsai_edge.load(model_path, backend="reference", context=200) as model:
        monkeypatch.setattr(model_speeds, "_first_token", lambda model: (66, 0.5))
        monkeypatch.setattr(model_speeds, "_TEST_S", 1e9)  # however busy this machine is
        generous = measure_speeds(model, progress)
        monkeypatch.setattr(model_speeds, "_TEST_S", 0.0)
        hasty = measure_speeds(model, progress)
    assert [test.name for test in generous.tests] == ["pp128", "tg128", "tg32 @ d40", "tg32 @ d100"]
    assert [len(test.tokens_per_s) for test in generous.tests] == [5, 5, 1, 1]
    assert [test.name for test in hasty.tests] == ["pp32", "tg16"]
    assert generous.find("tg", 40).mean > 0


def test_first_token_is_timed_on_prompts_that_are_not_cached(model_path: Path, progress: Progress) -> None:
    with bonsai_edge.load(model_path, backend="reference", context=1024) as model:
        num_tokens, seconds = model_speeds._first_token(model)
    assert num_tokens > 64
    assert seconds > 0


def test_percentiles_are_of_the_slow_end() -> None:
    assert percentiles([float(number) for number in range(101)]) == model_speeds.Percentiles(50, 95, 99)


def profiled(model_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress, measured=MEASUREMENTS):
    monkeypatch.setattr(model_run, "measure_loads", lambda *arguments: MODEL.loads)
    monkeypatch.setattr(model_run, "measure_speeds", lambda *arguments: MODEL.speeds)
    checkpoint = open_checkpoint(model_path)
    return profile_model(checkpoint, KEYWORDS, measured, Recording(), NO_SENSOR, None, progress)


def test_small_models_and_other_types_are_not_predicted(
    model_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress
) -> None:
    small = profiled(model_path, monkeypatch, progress)
    assert small.unpredicted == "it is so small that its weights may stay in the caches"
    assert small.predictions == []
    other = profiled(write_random_model(model_path, ggml_type="Q8_0"), monkeypatch, progress)
    assert other.unpredicted == "not all of its matrices are Q1_0"


def test_predictions_are_for_the_tests_that_were_run(
    model_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress
) -> None:
    monkeypatch.setattr(model_run, "_LEAST_PREDICTABLE_BYTES", 0)
    unlike = profiled(model_path, monkeypatch, progress)
    assert unlike.unpredicted == "it was run by reference with 1 threads, for which steps were not timed"
    measured = msgspec.structs.replace(MEASUREMENTS, backend="reference", threads=1)
    predicted = profiled(model_path, monkeypatch, progress, measured)
    assert [each.test for each in predicted.predictions] == ["pp512", "tg128", "tg32 @ d512"]
    assert predicted.predictions[1].measured_tokens_per_s == 21
    assert predicted.energy_unavailable == "only root may read it"
    assert len(predicted.sha256) == 64
