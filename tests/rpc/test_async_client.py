from __future__ import annotations

import asyncio
import uuid
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import bonsai_edge
from bonsai_edge.errors import ContextOverflowError, InvalidRequestError, RpcError, ServerUnreachableError
from bonsai_edge.generation import GenerationResult, TextChunk
from bonsai_edge.rpc.async_client import AsyncClient
from bonsai_edge.rpc.server import Server

if TYPE_CHECKING:
    from conftest import FakeModel

DEADLINE_S = 10.0


async def wait_until_idle(client: AsyncClient) -> None:
    while (status := await client.status()).active or status.queued:
        pass


def test_client_is_public() -> None:
    assert bonsai_edge.AsyncClient is AsyncClient


def test_two_streams_at_once_and_questions_between(server: Server, model: FakeModel) -> None:
    async def read(client: AsyncClient, prompt: str) -> list[str]:
        return [event.text async for event in client.generate(prompt)]

    async def main() -> None:
        async with AsyncClient(server.endpoints[0], timeout_s=DEADLINE_S) as client:
            streams = asyncio.gather(read(client, "ab"), read(client, "cd"))
            while (await client.status()).queued != 1:
                pass
            assert await client.tokenize("a") == [97]
            assert await client.detokenize([97]) == "a"
            assert (await client.model_info()).name == "fake"
            assert (await client.hello()).model == "fake"
            model.run_freely()
            assert await streams == [["a", "b", "ab"], ["c", "d", "cd"]]

    asyncio.run(main())


def test_chat_and_whole_answers(server: Server, model: FakeModel) -> None:
    async def main() -> None:
        model.run_freely()
        messages = [{"role": "user", "content": "hi"}]
        async with AsyncClient(server.endpoints[0], timeout_s=DEADLINE_S) as client:
            assert (await client.chat_text(messages)).text == "hi"
            assert (await client.generate_text("abc", max_tokens=1)).text == "a"
            assert [type(event) async for event in client.chat(messages)] == [TextChunk, TextChunk, GenerationResult]
            with pytest.raises(ContextOverflowError):
                await client.generate_text("overflow")

    asyncio.run(main())


def test_closing_an_iterator_early_cancels_its_request(server: Server, model: FakeModel) -> None:
    async def main() -> None:
        async with AsyncClient(server.endpoints[0], timeout_s=DEADLINE_S) as client:
            async with aclosing(client.generate("abc")) as events:
                model.allow()
                assert await anext(events) == TextChunk(0, "a", [97])
            assert (await client.status()).active == 1  # so the cancellation, which was sent before, has arrived
            model.allow()
            await wait_until_idle(client)
            assert (await client.status()).steps == 2

    asyncio.run(main())


def test_cancelling_a_task_cancels_its_request(server: Server, model: FakeModel) -> None:
    async def main() -> None:
        async with AsyncClient(server.endpoints[0], timeout_s=DEADLINE_S) as client:
            task = asyncio.create_task(client.generate_text("abc"))
            while not (await client.status()).active:
                pass
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert (await client.status()).active == 1
            model.allow()
            await wait_until_idle(client)
            assert (await client.status()).steps < 3

    asyncio.run(main())


def test_cancel_by_id(server: Server, model: FakeModel) -> None:
    async def main() -> None:
        async with AsyncClient(server.endpoints[0], timeout_s=DEADLINE_S) as client:
            request_id = uuid.uuid4()
            task = asyncio.create_task(client.generate_text("abc", request_id=request_id))
            while not (await client.status()).active:
                pass
            assert await client.cancel(request_id)
            model.allow()
            assert (await task).finish_reason == "cancelled"
            assert not await client.cancel(request_id)

    asyncio.run(main())


def test_halt_cancel_all_and_resume(server: Server, model: FakeModel) -> None:
    async def main() -> None:
        async with AsyncClient(server.endpoints[0], timeout_s=DEADLINE_S) as client:
            request_id = uuid.uuid4()
            task = asyncio.create_task(client.generate_text("abc", request_id=request_id))
            while not (await client.status()).active:
                pass
            assert await client.cancel_all(older_than_s=3600.0) == []
            assert await client.cancel_all() == [request_id]
            model.allow()
            assert (await task).finish_reason == "cancelled"
            assert await client.halt("door open") == []
            assert (await client.status()).halt_reason == "door open"
            assert "bonsai_edge_ready 0.0" in await client.metrics()
            await client.resume()
            assert (await client.status()).ready
        with pytest.raises(RpcError, match="The client is closed"):
            await client.resume()

    asyncio.run(main())


def test_missing_server_is_said_and_does_not_wedge(tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncClient(f"ipc://{tmp_path}/none", timeout_s=0.1) as client:
            for _ in range(2):
                with pytest.raises(ServerUnreachableError, match=r"within 0\.1 s; no server listens there"):
                    await client.status()

    asyncio.run(main())


def test_client_may_be_made_before_its_server(model: FakeModel, endpoint: str) -> None:
    async def main() -> None:
        async with AsyncClient(endpoint, timeout_s=DEADLINE_S) as client:
            task = asyncio.create_task(client.status())
            await asyncio.sleep(0)
            with Server(lambda: model, [endpoint]):
                assert (await task).state == "ready"

    asyncio.run(main())


def test_closing_the_client_fails_what_is_under_way(server: Server, model: FakeModel) -> None:
    async def main() -> None:
        client = AsyncClient(server.endpoints[0], timeout_s=DEADLINE_S)
        task = asyncio.create_task(client.generate_text("a" * 1_000))
        while not (await client.status()).active:
            pass
        await client.close()
        await client.close()
        with pytest.raises(RpcError, match="The client is closed"):
            await task
        with pytest.raises(RpcError, match="The client is closed"):
            await client.status()
        async with AsyncClient(server.endpoints[0], timeout_s=DEADLINE_S) as other:
            while (await other.status()).active:
                model.allow()
            assert (await other.status()).steps < 200

    asyncio.run(main())


def test_arguments_are_checked_at_once(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(InvalidRequestError, match="timeout_s is -1"):
            AsyncClient(timeout_s=-1)
        async with AsyncClient(f"ipc://{tmp_path}/none") as client:
            with pytest.raises(InvalidRequestError, match="unknown field `warmth`"):
                client.generate("a", warmth=3)

    asyncio.run(main())
