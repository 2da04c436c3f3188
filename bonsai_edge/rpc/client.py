"""The blocking client: the methods of the Python API, answered by a server."""

from __future__ import annotations

import contextlib
import math
import os
import queue
import threading
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import zmq

from bonsai_edge.errors import HandshakeError, RpcError
from bonsai_edge.generation import GenerationEvent, GenerationResult, Message, TextChunk
from bonsai_edge.rpc.connecting import Link
from bonsai_edge.rpc.endpoint_roles import control_endpoint
from bonsai_edge.rpc.endpoints import DEFAULT_TCP_ENDPOINT, check_connect_endpoint
from bonsai_edge.rpc.exchanges import Arrival, Exchange, Exchanges
from bonsai_edge.rpc.mailbox import Mailbox
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
from bonsai_edge.rpc.subscription import subscribe

_Answer = TypeVar("_Answer")

_CLOSED = "The client is closed."
_CLOSED_REMEDY = "Make a new one."
_BYE_LINGER_MS = 100


class Client:
    """Talks to one server. A context manager; may be shared by threads.

    Connecting happens in the background, so a client may be made before its server. `timeout_s` is how long the server
    may be silent, connecting included, before ServerUnreachableError is raised; a server that works on a long answer
    is not silent. What the server reports is raised as the same error that the Python API raises, or as RemoteError.
    `keys` is a directory with the keys of this client and of its server, which another machine needs: docs/security.md.
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
        self._connection = _Connection(self.endpoint, self._timeout_s, self._client_keys)
        self._control: Client | None = None
        self._making_control = threading.Lock()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Cancel what is under way and leave; may be called again."""
        self._connection.close()
        with self._making_control:
            if self._control is not None:
                self._control.close()

    def generate(
        self, prompt: str, *, request_id: uuid.UUID | None = None, deadline_s: float | None = None, **options: Any
    ) -> Generator[GenerationEvent, None, None]:
        """Continue a text: an iterator of `TextChunk`s and last the `GenerationResult`.

        `options` are the fields of `GenerationOptions`, and `priority` ("safety", "interactive", "normal",
        "background"), `session` (a name to cancel by), `detached` (go on if this client vanishes) and `sentences`
        (chunks of whole sentences), all checked at once. The request is sent when the first event is
        asked for; closing the iterator early cancels it, and so does `cancel(request_id)` from any thread.
        """
        return self._stream(partial(generate_request, prompt), options, request_id, deadline_s)

    def chat(
        self,
        messages: Sequence[Message | Mapping[str, str]],
        *,
        request_id: uuid.UUID | None = None,
        deadline_s: float | None = None,
        **options: Any,
    ) -> Generator[GenerationEvent, None, None]:
        """Answer a conversation of `{"role": ..., "content": ...}`; otherwise like `generate`."""
        return self._stream(partial(chat_request, messages), options, request_id, deadline_s)

    def generate_text(
        self, prompt: str, *, request_id: uuid.UUID | None = None, deadline_s: float | None = None, **options: Any
    ) -> GenerationResult:
        """Return just the last event of `generate`; the chunks are not even sent."""
        return self._result(partial(generate_request, prompt), options, request_id, deadline_s)

    def chat_text(
        self,
        messages: Sequence[Message | Mapping[str, str]],
        *,
        request_id: uuid.UUID | None = None,
        deadline_s: float | None = None,
        **options: Any,
    ) -> GenerationResult:
        """Return just the last event of `chat`; the chunks are not even sent."""
        return self._result(partial(chat_request, messages), options, request_id, deadline_s)

    def cancel(
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
        return uuids(self._call(message, Cancelling).request_ids)

    def cancel_all(self, *, older_than_s: float | None = None) -> list[uuid.UUID]:
        """Cancel the requests of all clients and return those that were alive; answered by the control thread."""
        message = cancel_message(everything=True, older_than_s=older_than_s)
        return uuids(self._control_client()._call(message, Cancelling).request_ids)

    def halt(self, reason: str = "") -> list[uuid.UUID]:
        """End all generations now and have new ones refused until `resume`; return those that were alive.

        Answered by the control thread, even if the engine hangs.
        """
        return uuids(self._control_client()._call(checked(Halt, reason=reason), Halted).cancelled)

    def resume(self) -> None:
        """End what `halt` began."""
        self._control_client()._call(Resume(), Halted)

    def events(self) -> Generator[Event, None, None]:
        """Iterate over what the server publishes: its status, each second and when it changes, and its telemetry.

        Ends only with an error: ServerUnreachableError if nothing comes for a second and the time-out.
        """
        return subscribe(self.endpoint, self._timeout_s, self._client_keys)

    def metrics(self) -> str:
        """Return the server's metrics in the text form of Prometheus."""
        return self._call(GetMetrics(), Text).text

    def status(self) -> ServerStatus:
        """Return how the server and its engine are doing; answered at once, whatever the engine does."""
        return self._call(GetStatus(), ServerStatus)

    def model_info(self) -> ModelInfo:
        """Return the name, shape and context of the model."""
        return self._call(GetModelInfo(), ModelInfo)

    def hello(self) -> Welcome:
        """Return who the server is: version, boot id, features and limits."""
        return self._call(Hello(CLIENT_NAME), Welcome)

    def tokenize(self, text: str, special: bool = False) -> list[int]:
        """Return the token ids of a text; with `special` the names of special tokens in it count as such."""
        return list(self._call(tokenize_request(text, special), TokenIds).token_ids)

    def detokenize(self, token_ids: Sequence[int]) -> str:
        """Return the text of token ids."""
        return self._call(detokenize_request(token_ids), Text).text

    def _control_client(self) -> Client:
        with self._making_control:
            if self._connection.is_closed:
                raise RpcError(_CLOSED, _CLOSED_REMEDY)
            if self._control is None:
                self._control = Client(control_endpoint(self.endpoint), timeout_s=self._timeout_s, keys=self._keys)
            return self._control

    def _call(self, message: ClientMessage, kind: type[_Answer]) -> _Answer:
        with contextlib.closing(self._connection.exchange(message, Header(), None)) as arrivals:
            return answer_of(next(arrivals), kind)

    def _stream(
        self,
        make: Callable[[Mapping[str, Any]], Generate | Chat],
        options: dict[str, Any],
        request_id: uuid.UUID | None,
        deadline_s: float | None,
        *,
        is_streamed: bool = True,
    ) -> Generator[GenerationEvent, None, None]:
        header = generation_header(deadline_s, options, is_streamed=is_streamed)
        return _events(self._connection.exchange(make(options), header, request_id))

    def _result(
        self,
        make: Callable[[Mapping[str, Any]], Generate | Chat],
        options: dict[str, Any],
        request_id: uuid.UUID | None,
        deadline_s: float | None,
    ) -> GenerationResult:
        with contextlib.closing(self._stream(make, options, request_id, deadline_s, is_streamed=False)) as events:
            for event in events:
                if isinstance(event, GenerationResult):
                    return event
        raise AssertionError("a generation ends with its result or an error")


def _events(arrivals: Generator[Arrival, None, None]) -> Generator[GenerationEvent, None, None]:
    with contextlib.closing(arrivals):
        for arrival in arrivals:
            event = generation_event(arrival)
            if event is not None:
                yield event
            if isinstance(event, GenerationResult):
                return


class _Connection:
    """A thread that owns the socket, since ZeroMQ sockets must not be shared and answers come when they like."""

    def __init__(self, endpoint: str, timeout_s: float, keys: ClientKeys | None) -> None:
        self._exchanges = Exchanges(endpoint, timeout_s)
        self._commands: Mailbox[Callable[[], None] | None] = Mailbox()
        self._lock = threading.Lock()  # nothing is put into the mailbox after the None that ends the thread
        self._is_closed = False
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        configure_dealer(self._socket)
        self._link = Link(self._socket, endpoint, keys)
        self._thread = threading.Thread(target=self._run, name="bonsai-edge-client", daemon=True)
        self._thread.start()

    @property
    def is_closed(self) -> bool:
        return self._is_closed

    def exchange(
        self, message: ClientMessage, header: Header, request_id: uuid.UUID | None
    ) -> Generator[Arrival, None, None]:
        """Return an iterator that sends a request when it is started and yields what comes of it.

        Closing it cancels the request. Raises InvalidRequestError at once when the request cannot be sent.
        """
        inbox: queue.SimpleQueue[Arrival] = queue.SimpleQueue()
        return self._converse(new_exchange(message, inbox.put, header, request_id), inbox)

    def close(self) -> None:
        with self._lock:
            if not self._is_closed:
                self._is_closed = True
                self._commands.put(None)
        self._thread.join()

    def _converse(self, exchange: Exchange, inbox: queue.SimpleQueue[Arrival]) -> Generator[Arrival, None, None]:
        with self._lock:
            if self._is_closed:
                raise RpcError(_CLOSED, _CLOSED_REMEDY)
            self._commands.put(partial(self._exchanges.begin, exchange))
        num_taken = 0
        try:
            while True:
                arrival = inbox.get()
                yield arrival
                num_taken += isinstance(arrival, TextChunk)
                if num_taken == CREDIT_WINDOW // 2:
                    self._tell(partial(self._exchanges.allow, exchange, num_taken))
                    num_taken = 0
        finally:
            self._tell(partial(self._exchanges.end, exchange))

    def _tell(self, command: Callable[[], None]) -> None:
        """Have the thread do something, unless it has ended."""
        with self._lock:
            if not self._is_closed:
                self._commands.put(command)

    def _run(self) -> None:
        try:
            self._pump()
        finally:
            with self._lock:
                self._is_closed = True
            for command in self._commands.take_all():  # put while the pump was failing
                if command is not None:
                    command()
            self._exchanges.fail_all(_CLOSED, _CLOSED_REMEDY)
            self._exchanges.leave()
            self._send()
            self._link.close()
            self._socket.close(linger=_BYE_LINGER_MS)
            self._commands.close()

    def _pump(self) -> None:
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._link.events, zmq.POLLIN)
        poller.register(self._commands, zmq.POLLIN)
        while True:
            wait_s = self._exchanges.wait_s()
            poller.poll(None if wait_s is None else math.ceil(wait_s * 1000))
            refusal = self._link.refusal()
            if refusal is not None:
                self._exchanges.fail_all(*refusal, HandshakeError)
            self._exchanges.suspicion = self._link.suspicion()
            for command in self._commands.take_all():
                if command is None:
                    return
                self._link.renew()
                command()
            self._receive()
            self._exchanges.tick()
            self._send()

    def _receive(self) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                self._exchanges.receive(self._socket.recv_multipart(zmq.DONTWAIT))

    def _send(self) -> None:
        with contextlib.suppress(zmq.Again):
            while (frames := self._exchanges.next_frames()) is not None:
                self._socket.send_multipart(frames, zmq.DONTWAIT)
                self._exchanges.mark_sent()
