"""A tiny shape, and a backend whose runners count instead of computing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bonsai_edge.backend import Availability, Backend
from bonsai_edge.measuring.bonsai_shapes import BONSAI_1_7B
from fake_runner import CountingRunner

SMALL = replace(
    BONSAI_1_7B.spec,
    num_layers=1,
    hidden_size=128,
    intermediate_size=256,
    num_heads=2,
    num_kv_heads=1,
    head_dim=64,
    vocab_size=300,
)


class CountingBackend(Backend):
    name = "counting"
    summary = "for tests"

    def __init__(self) -> None:
        self.runners: list[CountingRunner] = []

    def probe(self) -> Availability:
        return Availability(True, "It counts.")

    def load(self, checkpoint, plan, threads=1) -> CountingRunner:
        runner = CountingRunner(checkpoint.spec.vocab_size, plan.num_pages)
        runner.max_batch_rows = 64
        runner._logits = np.zeros((64, checkpoint.spec.vocab_size), np.float32)
        runner.spec = checkpoint.spec
        self.runners.append(runner)
        return runner
