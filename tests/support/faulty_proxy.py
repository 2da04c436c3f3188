"""A TCP proxy in front of a server that behaves as bad links do."""

from __future__ import annotations

import asyncio
import contextlib
import random
import threading
from types import TracebackType
from urllib.parse import urlsplit

_PIECE_BYTES = 1_400  # about what a packet holds
_RETRANSMISSION_S = 0.4  # a first time-out of TCP when the round trip takes that long; it doubles with every loss


class FaultyProxy:
    """Forwards connections to a server on this machine, from a thread of its own.

    `delay_s` and `loss` make it a long and lossy link: TCP hides a lost packet, but all that follows waits for it to be
    sent again. `freeze` leaves connections half open: nothing passes, and nobody is told.
    """

    def __init__(self, target: str, *, delay_s: float = 0.0, loss: float = 0.0, seed: int = 1) -> None:
        self._target = urlsplit(target)
        self._delay_s = delay_s
        self._loss = loss
        self._random = random.Random(seed)
        self._writers: list[asyncio.StreamWriter] = []
        self._loop = asyncio.new_event_loop()
        self._flows = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="faulty-proxy")
        self._is_listening = threading.Event()
        self.endpoint = ""
        self.num_lost = 0

    def __enter__(self) -> FaultyProxy:
        self._thread.start()
        assert self._is_listening.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def freeze(self) -> None:
        """Let nothing pass from now on, in either direction, on any connection."""
        self._loop.call_soon_threadsafe(self._flows.clear)

    def thaw(self) -> None:
        """Let pass what waits and what comes."""
        self._loop.call_soon_threadsafe(self._flows.set)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._flows.set()
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, "127.0.0.1", 0))
        self.endpoint = f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._is_listening.set()
        self._loop.run_forever()
        server.close()
        for writer in self._writers:
            writer.transport.abort()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(self._target.hostname, self._target.port)
        except OSError:
            writer.transport.abort()
            return
        self._writers += [writer, back]
        with contextlib.suppress(OSError):
            await asyncio.gather(self._forward(reader, back), self._forward(there, writer))

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on what comes, each piece when it would arrive, and the end."""
        pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivery = asyncio.ensure_future(self._deliver(pieces, writer))
        arrives_at = 0.0
        try:
            piece = b"-"
            while piece:
                piece = await reader.read(_PIECE_BYTES)
                arrives_at = max(arrives_at, self._loop.time() + self._delay_s) + self._retransmissions_s()
                pieces.put_nowait((arrives_at, piece))
            await delivery
        finally:
            delivery.cancel()

    async def _deliver(self, pieces: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        while True:
            arrives_at, piece = await pieces.get()
            await asyncio.sleep(arrives_at - self._loop.time())
            await self._flows.wait()
            if not piece:
                writer.close()
                return
            writer.write(piece)
            await writer.drain()

    def _retransmissions_s(self) -> float:
        wait_s, again_s = 0.0, _RETRANSMISSION_S
        while self._random.random() < self._loss:
            self.num_lost += 1
            wait_s += again_s
            again_s *= 2
        return wait_s
