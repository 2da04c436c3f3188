"""What is known of every request when a client or the server is killed (SIGKILL) or stands still (SIGSTOP)."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from bonsai_edge.errors import RpcError, ServerUnreachableError
from bonsai_edge.generation import GenerationResult
from bonsai_edge.rpc.async_client import AsyncClient
from bonsai_edge.rpc.client import Client
from long_answers import long_answer
from wire.served import ServedProcess

DEADLINE_S = 60.0
TWO_HEARTBEATS_S = 6.0  # docs/protocol.md: a connection counts as broken 3 s after the last sign of life
SUPPORT = Path(__file__).parents[2] / "support"


def wait_until_idle(client: Client, within_s: float) -> None:
    give_up_at = time.monotonic() + within_s
    while (status := client.status()).active or status.queued:
        assert time.monotonic() < give_up_at, "requests of a client that is gone still run"
        time.sleep(0.02)


async def fates_of(client: AsyncClient, num_requests: int, **options: Any) -> list[GenerationResult | BaseException]:
    requests = (client.generate_text(f"go to room {number}", **options) for number in range(num_requests))
    return await asyncio.wait_for(asyncio.gather(*requests, return_exceptions=True), DEADLINE_S)


def test_requests_of_a_killed_client_are_cancelled_and_others_go_on(served: ServedProcess) -> None:
    command = [sys.executable, str(SUPPORT / "doomed_client.py"), served.endpoint, "4"]
    with (
        Client(served.endpoint, timeout_s=DEADLINE_S) as staying,
        subprocess.Popen(command, stdout=subprocess.PIPE) as doomed,
    ):
        assert doomed.stdout is not None
        assert doomed.stdout.readline() == b"streaming\n"
        assert staying.status().active
        doomed.kill()
        assert staying.generate_text("dock now", max_tokens=4).finish_reason in ("stop", "length")
        wait_until_idle(staying, TWO_HEARTBEATS_S)


@pytest.mark.parametrize("is_restarted", [True, False])
def test_every_request_has_a_fate_when_the_server_is_killed(served: ServedProcess, is_restarted: bool) -> None:
    with Client(served.endpoint, timeout_s=DEADLINE_S) as client:
        boot_id = client.hello().boot_id
        options = long_answer(client)

    async def ask() -> None:
        timeout_s = DEADLINE_S if is_restarted else 1.5
        async with AsyncClient(served.endpoint, timeout_s=timeout_s) as client:
            asked = asyncio.ensure_future(fates_of(client, 8, **options))
            while (status := await client.status()).active + status.queued < 8:
                await asyncio.sleep(0.01)
            served.kill()
            if is_restarted:
                await asyncio.to_thread(served.start)
            fates = await asked
            assert [type(fate) for fate in fates] == [ServerUnreachableError] * 8
            if is_restarted:
                assert (await client.hello()).boot_id != boot_id
                assert (await client.generate_text("dock now", max_tokens=4)).text
                assert all("does not know the request any more" in str(fate) for fate in fates)

    asyncio.run(ask())


def test_short_standstill_of_the_server_harms_no_request(served: ServedProcess) -> None:
    async def ask() -> None:
        async with AsyncClient(served.endpoint, timeout_s=DEADLINE_S) as client:
            asked = asyncio.ensure_future(fates_of(client, 8, max_tokens=16))
            while not (await client.status()).active:
                await asyncio.sleep(0.01)
            served.pause()
            await asyncio.sleep(1.0)
            served.resume()
            assert [type(fate) for fate in await asked] == [GenerationResult] * 8

    asyncio.run(ask())


def test_long_standstill_is_noticed_and_leaves_nothing_behind(served: ServedProcess) -> None:
    with Client(served.endpoint, timeout_s=DEADLINE_S) as client:
        options = long_answer(client)

    async def ask() -> None:
        async with AsyncClient(served.endpoint, timeout_s=2.0) as client:
            asked = asyncio.ensure_future(fates_of(client, 4, **options))
            while not (await client.status()).active:
                await asyncio.sleep(0.01)
            served.pause()
            fates = await asked
            assert all(isinstance(fate, RpcError) and "has been silent for 2 s" in str(fate) for fate in fates)

    try:
        asyncio.run(ask())
    finally:
        served.resume()
    with Client(served.endpoint, timeout_s=DEADLINE_S) as client:
        wait_until_idle(client, TWO_HEARTBEATS_S)
        assert client.generate_text("dock now", max_tokens=4).text
