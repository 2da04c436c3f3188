"""Whoever had to make room, for whom and how often: each answer has the tokens that it would have had alone."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from typing import Any

import pytest

import bonsai_edge
from bonsai_edge.generation import GenerationResult
from bonsai_edge.model import Model
from bonsai_edge.rpc.async_client import AsyncClient
from bonsai_edge.rpc.compute import ComputeThread
from bonsai_edge.rpc.job import Job
from bonsai_edge.rpc.messages import Limits
from bonsai_edge.rpc.server import Server

PRIORITIES = ("background", "normal", "interactive", "safety")


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    with bonsai_edge.load("seedling", backend="cpu", context=256, sessions=2) as model:
        yield model


def requests_of(seed: int) -> list[dict[str, Any]]:
    """Return requests of all priorities in a random order, greedy and sampled, some with a long prompt."""
    rng = random.Random(seed)
    requests = [
        {
            "prompt": f"go to room {number}, " * rng.choice((1, 12)),
            "priority": PRIORITIES[number % len(PRIORITIES)],
            "options": {"max_tokens": rng.randint(8, 48), "temperature": rng.choice((0.0, 1.0)), "seed": number},
        }
        for number in range(16)
    ]
    rng.shuffle(requests)
    return requests


async def ask_all(endpoint: str, requests: list[dict[str, Any]], seed: int) -> list[GenerationResult]:
    rng = random.Random(seed)

    async def ask(client: AsyncClient, request: dict[str, Any]) -> GenerationResult:
        await asyncio.sleep(rng.random() * 0.3)
        return await client.generate_text(request["prompt"], priority=request["priority"], **request["options"])

    async with AsyncClient(endpoint, timeout_s=60.0) as client:
        return await asyncio.gather(*(ask(client, request) for request in requests))


@pytest.mark.parametrize("seed", range(3))
def test_answers_do_not_depend_on_who_interrupted_them(
    model: Model, endpoint: str, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    suspended: list[str] = []
    suspend = ComputeThread._suspend

    def suspend_and_note(thread: ComputeThread, job: Job) -> None:
        suspended.append(job.priority.name)
        suspend(thread, job)

    monkeypatch.setattr(ComputeThread, "_suspend", suspend_and_note)
    monkeypatch.setattr(model, "close", lambda: None)  # it is used again
    requests = requests_of(seed)
    alone = [model.generate_text(request["prompt"], **request["options"]).token_ids for request in requests]
    with Server(lambda: model, [endpoint], limits=Limits(max_active=2)):
        results = asyncio.run(ask_all(endpoint, requests, seed))
    assert [result.token_ids for result in results] == alone
    assert suspended, "nobody was interrupted, so that nothing was shown"
