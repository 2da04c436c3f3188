from __future__ import annotations

import time

import numpy as np
import pytest

from bonsai_edge.backend import Batch, ModelRunner
from bonsai_edge.measuring import timed_model, trial
from bonsai_edge.measuring.trial import TrialResult, run_trial
from bonsai_edge.reference import ReferenceBackend
from fake_runner import CountingRunner
from synthetic_steps import SMALL, CountingBackend


class SlowRunner(CountingRunner):
    """Waits for each step: decoding costs more than a chunk of a prompt, or less."""

    decode_s = chunk_s = 0.0

    def forward(self, batch: Batch) -> np.ndarray:
        time.sleep(self.decode_s if len(batch.token_ids) == 1 else self.chunk_s)
        return super().forward(batch)


class SlowBackend(CountingBackend):
    def __init__(self, name: str, decode_s: float, chunk_s: float) -> None:
        super().__init__()
        self.name, self._decode_s, self._chunk_s = name, decode_s, chunk_s
        self.is_closed = False

    def load(self, checkpoint, plan, threads=1) -> CountingRunner:
        runner = SlowRunner(checkpoint.spec.vocab_size, plan.num_pages)
        runner.max_batch_rows = 64
        runner._logits = np.zeros((64, checkpoint.spec.vocab_size), np.float32)
        runner.spec = checkpoint.spec
        runner.decode_s, runner.chunk_s = self._decode_s, self._chunk_s
        runner.close = self._note_close  # type: ignore[method-assign]
        return runner

    def _note_close(self) -> None:
        self.is_closed = True


class FailingBackend(SlowBackend):
    def load(self, *arguments: object) -> ModelRunner:
        raise RuntimeError("no such shader")


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timed_model, "_TURN_S", 0.0)
    monkeypatch.setattr(trial, "_ROUNDS", 2)
    monkeypatch.setattr(trial, "BONSAI_1_7B", trial.BONSAI_1_7B.__class__(SMALL, 0))


def test_the_fastest_comes_first_and_all_are_closed() -> None:
    slow, quick = SlowBackend("slow", 0.03, 0.02), SlowBackend("quick", 0.004, 0.002)
    results = run_trial([slow, quick], 1, 1 << 40)
    assert [result.backend for result in results] == ["quick", "slow"]
    decode, prefill = results[1].decode_tokens_per_s, results[1].prefill_tokens_per_s
    assert decode is not None
    assert prefill is not None
    assert 10 < decode < 1 / 0.03
    assert 100 < prefill < 8 / 0.02
    assert slow.is_closed
    assert quick.is_closed


def test_a_request_weighs_its_prompt_and_its_answer() -> None:
    assert TrialResult("a", decode_tokens_per_s=16, prefill_tokens_per_s=64).request_s == 128 / 64 + 32 / 16
    assert TrialResult("a", failure="broken").request_s == float("inf")


def test_one_that_fails_is_last_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    results = run_trial([FailingBackend("broken", 0, 0), SlowBackend("quick", 0, 0)], 1, 1 << 40)
    assert [result.backend for result in results] == ["quick", "broken"]
    assert results[1].failure == "no such shader"
    assert "Backend 'broken' failed in a trial." in caplog.messages


def test_one_that_fails_later_is_closed_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = SlowBackend("late", 0, 0)
    steps = iter(range(4))

    def sleep(seconds: float) -> None:
        if next(steps, None) is None:
            raise MemoryError

    monkeypatch.setattr(time, "sleep", sleep)
    (result,) = run_trial([backend], 1, 1 << 40)
    assert result.failure == "MemoryError()"
    assert backend.is_closed


def test_a_real_backend_can_take_part() -> None:
    (result,) = run_trial([ReferenceBackend()], 1, 1)
    assert result.failure is None
    assert 0 < result.request_s < float("inf")
