"""What clients do over a bad link. As a program: serves and asks within this network, and prints the fates as JSON."""

from __future__ import annotations

import asyncio
import json
from collections import Counter

from bonsai_edge.errors import BonsaiError
from bonsai_edge.generation import GenerationResult
from bonsai_edge.rpc.async_client import AsyncClient
from wire.served import ServedProcess

_CLIENTS, _REQUESTS = 3, 4
_TIMEOUT_S = 20.0
_DEADLINE_S = 120.0


async def ask_over_a_bad_link(endpoint: str) -> Counter[str]:
    """Return how often requests ended in which way, by finish reason or the class of the error."""
    clients = [_ask_in_turn(endpoint) for _ in range(_CLIENTS)]
    fates: Counter[str] = Counter()
    for of_client in await asyncio.wait_for(asyncio.gather(*clients), _DEADLINE_S):
        fates += of_client
    return fates


async def _ask_in_turn(endpoint: str) -> Counter[str]:
    fates: Counter[str] = Counter()
    async with AsyncClient(endpoint, timeout_s=_TIMEOUT_S) as client:
        for number in range(_REQUESTS):
            try:
                fates[await _ask(client, f"go to room {number}")] += 1
            except BonsaiError as exc:
                fates[type(exc).__name__] += 1
    return fates


async def _ask(client: AsyncClient, prompt: str) -> str:
    """Return the finish reason of an answer that arrived whole."""
    text = ""
    async for event in client.generate(prompt, max_tokens=16):
        if isinstance(event, GenerationResult):
            return event.finish_reason if event.text == text else "torn"
        text += event.text
    return "without an end"


if __name__ == "__main__":
    with ServedProcess(backend="reference") as served:
        print(json.dumps(asyncio.run(ask_over_a_bad_link(served.endpoint))))
