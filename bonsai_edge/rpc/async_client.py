"""The asyncio client: the same methods as the blocking one, as coroutines and asynchronous iterators."""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import uuid
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import zmq
import zmq.asyncio

from bonsai_edge.errors import HandshakeError, RpcError
from bonsai_edge.generation import GenerationEvent, GenerationResult, Message, TextChunk
from bonsai_edge.rpc.connecting import Link
from bonsai_edge.rpc.endpoint_roles import control_endpoint, events_endpoint
from bonsai_edge.rpc.endpoints import DEFAULT_TCP_ENDPOINT, check_connect_endpoint
from bonsai_edge.rpc.event_codec import decode_event
from bonsai_edge.rpc.exchanges import Arrival, Exchange, Exchanges
from bonsai_edge.rpc.messages import (
    Cancelling,
    Chat,
    ClientMessage,
    Event,
    Generate,
    GetMetrics,
    GetModelInfo,
    GetStatus,
    Halt,
    Halted,
    Header,
    Hello,
    ModelInfo,
    Resume,
    ServerStatus,
    Text,
    TokenIds,
    Welcome,
)
from bonsai_edge.rpc.requests import (
    CLIENT_NAME,
    CREDIT_WINDOW,
    DEFAULT_TIMEOUT_S,
    answer_of,
    cancel_message,
    chat_request,
    checked,
    checked_seconds,
    configure_dealer,
    detokenize_request,
    generate_request,
    generation_event,
    generation_header,
    new_exchange,
    tokenize_request,
    uuids,
)
from bonsai_edge.rpc.security.key_files import ClientKeys, load_client_keys
from bonsai_edge.rpc.subscription import connect_subscriber, latest, silence_ms, silent_error

_Answer = TypeVar("_Answer")

_CLOSED = "The client is closed."
_CLOSED_REMEDY = "Make a new one."
_BYE_LINGER_MS = 100
_LONGEST_POLL_S = 0.05  # a request that is begun while the pump polls is tended to after this time at the latest


class AsyncClient:
    """Talks to one server from one event loop; otherwise like `bonsai_edge.Client`.

    Asynchronous iterators that are left early should be closed, best by `contextlib.aclosing`: that cancels the
    request.
    """

    def __init__(
        self,
        endpoint: str = DEFAULT_TCP_ENDPOINT,
        *,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        keys: str | os.PathLike[str] | None = None,
    ) -> None:
        self.endpoint = check_connect_endpoint(endpoint, has_keys=keys is not None)
        self._keys = keys
        self._client_keys = None if keys is None else load_client_keys(Path(keys))
        self._timeout_s = checked_seconds("timeout_s", timeout_s)
        self._exchanges = Exchanges(self.endpoint, self._timeout_s)
        self._control: AsyncClient | None = None
        self._socket = zmq.asyncio.Context.instance().socket(zmq.DEALER)
        configure_dealer(self._socket)
        self._link = Link(self._socket, self.endpoint, self._client_keys)
        self._pump_task: asyncio.Task[None] | None = None
        self._is_closed = False

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Cancel what is under way and leave; may be called again."""
        if self._is_closed:
            return
        if self._pump_task is not None:
            self._pump_task.cancel()
            await asyncio.wait([self._pump_task])
        self._exchanges.fail_all(_CLOSED, _CLOSED_REMEDY)
        self._exchanges.leave()
        await self._send()
        self._is_closed = True
        self._link.close()
        self._socket.close(linger=_BYE_LINGER_MS)
        if self._control is not None:
            await self._control.close()

    def generate(
        self, prompt: str, *, request_id: uuid.UUID | None = None, deadline_s: float | None = None, **options: Any
    ) -> AsyncGenerator[GenerationEvent, None]:
        """Continue a text: an asynchronous iterator of `TextChunk`s and last the `GenerationResult`.

        `options` are the fields of `GenerationOptions`, and `priority` ("safety", "interactive", "normal",
        "background"), `session` (a name to cancel by), `detached` (go on if this client vanishes) and `sentences`
        (chunks of whole sentences), all checked at once. The request is sent when the first event is
        asked for; closing the iterator early cancels it, and so does `cancel(request_id)`.
        """
        return self._stream(partial(generate_request, prompt), options, request_id, deadline_s)

    def chat(
        self,
        messages: Sequence[Message | Mapping[str, str]],
        *,
        request_id: uuid.UUID | None = None,
        deadline_s: float | None = None,
        **options: Any,
    ) -> AsyncGenerator[GenerationEvent, None]:
        """Answer a conversation of `{"role": ..., "content": ...}`; otherwise like `generate`."""
        return self._stream(partial(chat_request, messages), options, request_id, deadline_s)

    async def generate_text(
        self, prompt: str, *, request_id: uuid.UUID | None = None, deadline_s: float | None = None, **options: Any
    ) -> GenerationResult:
        """Return just the last event of `generate`; the chunks are not even sent."""
        return await self._result(partial(generate_request, prompt), options, request_id, deadline_s)

    async def chat_text(
        self,
        messages: Sequence[Message | Mapping[str, str]],
        *,
        request_id: uuid.UUID | None = None,
        deadline_s: float | None = None,
        **options: Any,
    ) -> GenerationResult:
        """Return just the last event of `chat`; the chunks are not even sent."""
        return await self._result(partial(chat_request, messages), options, request_id, deadline_s)

    async def cancel(
        self,
        request_id: uuid.UUID | None = None,
        *,
        session: str | None = None,
        client: bool = False,
        older_than_s: float | None = None,
    ) -> list[uuid.UUID]:
        """Cancel the requests that fit all that is given and return those that were alive; their results still arrive.

        One request, those of a session, of whichever client, or with `client` those of this one; with `older_than_s`
        only those that the server received so long ago.
        """
        message = cancel_message(request_id, session=session, client=client, older_than_s=older_than_s)
        return uuids((await self._call(message, Cancelling)).request_ids)

    async def cancel_all(self, *, older_than_s: float | None = None) -> list[uuid.UUID]:
        """Cancel the requests of all clients and return those that were alive; answered by the control thread."""
        message = cancel_message(everything=True, older_than_s=older_than_s)
        return uuids((await self._control_client()._call(message, Cancelling)).request_ids)

    async def halt(self, reason: str = "") -> list[uuid.UUID]:
        """End all generations now and have new ones refused until `resume`; return those that were alive.

        Answered by the control thread, even if the engine hangs.
        """
        return uuids((await self._control_client()._call(checked(Halt, reason=reason), Halted)).cancelled)

    async def resume(self) -> None:
        """End what `halt` began."""
        await self._control_client()._call(Resume(), Halted)

    def events(self) -> AsyncGenerator[Event, None]:
        """Iterate over what the server publishes: its status, each second and when it changes, and its telemetry.

        Ends only with an error: ServerUnreachableError if nothing comes for a second and the time-out.
        """
        return _subscribe(self.endpoint, self._timeout_s, self._client_keys)

    async def metrics(self) -> str:
        """Return the server's metrics in the text form of Prometheus."""
        return (await self._call(GetMetrics(), Text)).text

    async def status(self) -> ServerStatus:
        """Return how the server and its engine are doing; answered at once, whatever the engine does."""
        return await self._call(GetStatus(), ServerStatus)

    async def model_info(self) -> ModelInfo:
        """Return the name, shape and context of the model."""
        return await self._call(GetModelInfo(), ModelInfo)

    async def hello(self) -> Welcome:
        """Return who the server is: version, boot id, features and limits."""
        return await self._call(Hello(CLIENT_NAME), Welcome)

    async def tokenize(self, text: str, special: bool = False) -> list[int]:
        """Return the token ids of a text; with `special` the names of special tokens in it count as such."""
        return list((await self._call(tokenize_request(text, special), TokenIds)).token_ids)

    async def detokenize(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        return (await self._call(detokenize_request(token_ids), Text)).text

    def _control_client(self) -> AsyncClient:
        if self._is_closed:
            raise RpcError(_CLOSED, _CLOSED_REMEDY)
        if self._control is None:
            self._control = AsyncClient(control_endpoint(self.endpoint), timeout_s=self._timeout_s, keys=self._keys)
        return self._control

    async def _call(self, message: ClientMessage, kind: type[_Answer]) -> _Answer:
        async with contextlib.aclosing(self._exchange(message, Header(), None)) as arrivals:
            return answer_of(await anext(arrivals), kind)

    def _stream(
        self,
        make: Callable[[Mapping[str, Any]], Generate | Chat],
        options: dict[str, Any],
        request_id: uuid.UUID | None,
        deadline_s: float | None,
        *,
        is_streamed: bool = True,
    ) -> AsyncGenerator[GenerationEvent, None]:
        header = generation_header(deadline_s, options, is_streamed=is_streamed)
        return _events(self._exchange(make(options), header, request_id))

    async def _result(
        self,
        make: Callable[[Mapping[str, Any]], Generate | Chat],
        options: dict[str, Any],
        request_id: uuid.UUID | None,
        deadline_s: float | None,
    ) -> GenerationResult:
        async with contextlib.aclosing(
            self._stream(make, options, request_id, deadline_s, is_streamed=False)
        ) as events:
            async for event in events:
                if isinstance(event, GenerationResult):
                    return event
        raise AssertionError("a generation ends with its result or an error")

    def _exchange(
        self, message: ClientMessage, header: Header, request_id: uuid.UUID | None
    ) -> AsyncGenerator[Arrival, None]:
        inbox: asyncio.Queue[Arrival] = asyncio.Queue()
        return self._converse(new_exchange(message, inbox.put_nowait, header, request_id), inbox)

    async def _converse(self, exchange: Exchange, inbox: asyncio.Queue[Arrival]) -> AsyncGenerator[Arrival, None]:
        if self._is_closed:
            raise RpcError(_CLOSED, _CLOSED_REMEDY)
        self._watch_handshakes()  # before this exchange is there: what is refused now is tried again for it
        self._link.renew()
        self._exchanges.begin(exchange)
        num_taken = 0
        try:
            await self._send()
            if self._pump_task is None or self._pump_task.done():
                self._pump_task = asyncio.create_task(self._pump())
            while True:
                arrival = await inbox.get()
                yield arrival
                num_taken += isinstance(arrival, TextChunk)
                if num_taken == CREDIT_WINDOW // 2:
                    self._exchanges.allow(exchange, num_taken)
                    num_taken = 0
                    await self._send()
        finally:
            self._exchanges.end(exchange)
            if not self._is_closed:
                await self._send()

    async def _pump(self) -> None:
        try:
            while self._exchanges.is_busy:
                wait_s = min(self._exchanges.wait_s() or 0.0, _LONGEST_POLL_S)
                await self._socket.poll(math.ceil(wait_s * 1000))
                self._watch_handshakes()
                await self._receive()
                self._exchanges.tick()
                await self._send()
        except BaseException:
            self._exchanges.fail_all(_CLOSED, _CLOSED_REMEDY)  # else the iterators would wait for ever
            raise

    def _watch_handshakes(self) -> None:
        refusal = self._link.refusal()
        if refusal is not None:
            self._exchanges.fail_all(*refusal, HandshakeError)
        self._exchanges.suspicion = self._link.suspicion()

    async def _receive(self) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                self._exchanges.receive(await self._socket.recv_multipart(zmq.DONTWAIT))

    async def _send(self) -> None:
        with contextlib.suppress(zmq.Again):
            while (frames := self._exchanges.next_frames()) is not None:
                await self._socket.send_multipart(frames, zmq.DONTWAIT)  # done at once, or Again
                self._exchanges.mark_sent()


async def _subscribe(endpoint: str, timeout_s: float, keys: ClientKeys | None) -> AsyncGenerator[Event, None]:
    events_from = events_endpoint(endpoint)
    subscriber = zmq.asyncio.Context.instance().socket(zmq.SUB)
    shadow: zmq.Socket[bytes] = zmq.Socket.shadow(subscriber)  # the same socket, without waiting
    try:
        connect_subscriber(subscriber, events_from, keys)
        while await subscriber.poll(silence_ms(timeout_s)):
            for frames in latest(shadow):
                yield decode_event(frames)
        raise silent_error(events_from, timeout_s)
    finally:
        subscriber.close(linger=0)


async def _events(arrivals: AsyncGenerator[Arrival, None]) -> AsyncGenerator[GenerationEvent, None]:
    async with contextlib.aclosing(arrivals):
        async for arrival in arrivals:
            event = generation_event(arrival)
            if event is not None:
                yield event
            if isinstance(event, GenerationResult):
                return
