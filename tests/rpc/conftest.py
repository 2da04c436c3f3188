"""A model whose every token waits for the test, and a server around it."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import zmq

from bonsai_edge.errors import BonsaiError, ContextOverflowError, KVCacheFullError
from bonsai_edge.generation import (
    FinishReason,
    GenerationEvent,
    GenerationOptions,
    GenerationResult,
    Message,
    TextChunk,
    Timings,
    Usage,
)
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.codec import decode_server_message, encode
from bonsai_edge.rpc.endpoint_roles import control_endpoint
from bonsai_edge.rpc.messages import ClientMessage, Header, Limits, Progress, ServerMessage
from bonsai_edge.rpc.server import Server

DEADLINE_S = 10.0
"""No wait in these tests takes longer, or the test has failed."""


@dataclass(frozen=True)
class FakeSpec:
    architecture: str = "qwen3"
    vocab_size: int = 256
    num_layers: int = 2
    hidden_size: int = 64


class FakeTokenizer:
    """One token a byte."""

    def encode(self, text: str, special: bool = False) -> list[int]:
        if text == "fail":
            raise RuntimeError("a defect in the tokenizer")
        return list(text.encode())

    def decode(self, token_ids: Sequence[int]) -> str:
        return bytes(token_ids).decode()


@dataclass(eq=False)
class FakeGeneration:
    """One echo under way; with a model that has little memory only so many are open together."""

    model: FakeModel
    text: str
    options: GenerationOptions
    cancelled: Callable[[], bool]
    is_finished: bool = False
    can_be_suspended: bool = True
    answer: str = ""

    @property
    def num_computed(self) -> int:
        return len(self.answer)

    @property
    def prefill_progress(self) -> tuple[int, int]:
        return len(self.text), len(self.text)

    def open(self) -> None:
        if len(self.model.open_generations) >= self.model.most_open:
            raise KVCacheFullError("The memory is full.", "Wait.")
        self.model.open_generations.append(self)

    def suspend(self) -> None:
        self.close()

    def close(self) -> None:
        if self in self.model.open_generations:
            self.model.open_generations.remove(self)

    def step(self) -> list[GenerationEvent]:
        if self.cancelled():
            return [self._result("cancelled")]
        index = len(self.answer)
        if index == len(self.text):
            return [self._result("stop")]
        character = self.text[index]
        if character == "!":
            raise RuntimeError("a defect in the model")
        self.answer += character
        chunk = TextChunk(index, character * self.model.chunk_repeats, [ord(character)])
        if len(self.answer) == len(self.text):
            return [chunk, self._result("stop")]
        if len(self.answer) == self.options.max_tokens:
            return [chunk, self._result("length")]
        return [chunk]

    def _result(self, finish_reason: FinishReason) -> GenerationResult:
        self.is_finished = True
        return GenerationResult(
            text=self.answer,
            token_ids=[ord(each) for each in self.answer],
            finish_reason=finish_reason,
            usage=Usage(len(self.text), len(self.answer)),
            timings=Timings(
                load_s=self.model.load_s,
                prefill_s=0.25,
                decode_s=0.5,
                prefill_tokens_per_s=4.0,
                decode_tokens_per_s=2.0,
            ),
            backend=self.model.backend_name,
            model=self.model.name,
            seed=self.options.seed or 0,
        )


@dataclass
class FakeModel:
    """Echoes the prompt, one character a step; each step waits for a permit unless it runs freely.

    Prompts that begin with "overflow" are refused; at a "!" the model breaks. Several that run together share a step.
    """

    name: str = "fake"
    backend_name: str = "none"
    backend_note: str | None = None
    context: int = 1 << 20
    threads: int = 1
    load_s: float = 0.5
    chunk_repeats: int = 1
    most_open: int = 64
    spec: FakeSpec = field(default_factory=FakeSpec)
    tokenizer: FakeTokenizer = field(default_factory=FakeTokenizer)

    def __post_init__(self) -> None:
        self.free_running = threading.Event()
        self.started: queue.Queue[str] = queue.Queue()  # prompts in the order in which they began to run
        self.is_waiting = threading.Event()  # a step has begun, and nothing but a permit ends it
        self.closed = threading.Event()
        self.open_generations: list[FakeGeneration] = []
        self.prepared: queue.Queue[str] = queue.Queue()
        self.steps: list[list[str]] = []  # which prompts were computed together
        self._permits = threading.Semaphore(0)

    def allow(self, steps: int = 1) -> None:
        self._permits.release(steps)

    def run_freely(self) -> None:
        self.free_running.set()
        self.allow()  # for the step that waits already

    def await_prepared(self, num_prompts: int) -> None:
        for _ in range(num_prompts):
            self.prepared.get(timeout=DEADLINE_S)

    def next_started(self) -> str:
        return self.started.get(timeout=DEADLINE_S)

    def begin(
        self, prompt: str | Sequence[Message], options: GenerationOptions, cancelled: Callable[[], bool] | None = None
    ) -> FakeGeneration:
        assert cancelled is not None
        text = prompt if isinstance(prompt, str) else prompt[-1].content
        if text.startswith("overflow"):
            raise ContextOverflowError(
                "The prompt has 9 tokens and the context holds 8.",
                "Shorten it.",
                prompt_tokens=9,
                limit=8,
                max_tokens=1,
            )
        self.prepared.put(text)
        return FakeGeneration(self, text, options, cancelled)

    def advance(self, generations: Sequence[FakeGeneration]) -> list[list[GenerationEvent] | BonsaiError]:
        for generation in generations:
            if not generation.num_computed and not generation.cancelled():
                self.started.put(generation.text)
        if not self.free_running.is_set() and not any(generation.cancelled() for generation in generations):
            self.is_waiting.set()
            assert self._permits.acquire(timeout=DEADLINE_S)
        self.steps.append([generation.text for generation in generations])
        return [generation.step() for generation in generations]

    def close(self) -> None:
        self.closed.set()


@dataclass(frozen=True)
class RawPeer:
    """A DEALER that speaks in frames, for what our clients would never send."""

    socket: zmq.Socket[bytes]

    def send(self, message: ClientMessage, request_id: bytes, header: Header | None = None) -> None:
        self.socket.send_multipart(encode(message, request_id, header or Header()))

    def receive(self) -> tuple[bytes, ServerMessage]:
        """Return the next message, PROGRESS left out."""
        envelope = decode_server_message(self.socket.recv_multipart())
        while isinstance(envelope.message, Progress):
            envelope = decode_server_message(self.socket.recv_multipart())
        return envelope.request_id, envelope.message

    def expect(self, request_id: bytes) -> ServerMessage:
        received_id, message = self.receive()
        assert received_id == request_id
        return message

    def assert_nothing_more(self, *, within_ms: int = 50) -> None:
        assert self.socket.poll(within_ms) == 0


@pytest.fixture
def model() -> FakeModel:
    return FakeModel()


@pytest.fixture
def endpoint(tmp_path: Path) -> str:
    return f"ipc://{tmp_path}/s"


@pytest.fixture
def limits() -> Limits:
    return Limits(max_active=1)


@pytest.fixture
def server(model: FakeModel, endpoint: str, limits: Limits) -> Iterator[Server]:
    with Server(lambda: model, [endpoint], limits=limits) as server:
        yield server
        model.run_freely()


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.endpoints[0], timeout_s=DEADLINE_S) as client:
        yield client


@pytest.fixture
def open_socket() -> Iterator[Callable[[int, str], zmq.Socket[bytes]]]:
    """Make sockets of a kind that are connected to an endpoint and wait for nothing longer than the deadline."""
    sockets = []
    with zmq.Context() as context:
        context.setsockopt(zmq.RCVTIMEO, int(DEADLINE_S * 1000))
        context.setsockopt(zmq.SNDTIMEO, int(DEADLINE_S * 1000))
        context.setsockopt(zmq.LINGER, 0)

        def open_socket(kind: int, endpoint: str) -> zmq.Socket[bytes]:
            sockets.append(context.socket(kind))
            sockets[-1].connect(endpoint)
            return sockets[-1]

        yield open_socket
        for each in sockets:
            each.close()


@pytest.fixture
def connect(open_socket: Callable[[int, str], zmq.Socket[bytes]], server: Server) -> Callable[[], RawPeer]:
    return lambda: RawPeer(open_socket(zmq.DEALER, server.endpoints[0]))


@pytest.fixture
def control(open_socket: Callable[[int, str], zmq.Socket[bytes]], server: Server) -> RawPeer:
    """A peer of the control endpoint."""
    return RawPeer(open_socket(zmq.DEALER, control_endpoint(server.endpoints[0])))


@pytest.fixture
def peer(connect: Callable[[], RawPeer]) -> RawPeer:
    return connect()
