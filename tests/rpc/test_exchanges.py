from __future__ import annotations

from types import SimpleNamespace

import pytest

from bonsai_edge.errors import BonsaiError, InvalidRequestError, ProtocolError, RpcError, ServerUnreachableError
from bonsai_edge.generation import TextChunk
from bonsai_edge.rpc.codec import decode_client_message, encode
from bonsai_edge.rpc.exchanges import Arrival, Exchange, Exchanges
from bonsai_edge.rpc.messages import (
    Accepted,
    Bye,
    Cancel,
    ClientMessage,
    ErrorMessage,
    GetStatus,
    Ping,
    Pong,
    ServerMessage,
    ServerStatus,
    Text,
)

ID, OTHER_ID = b"a" * 16, b"b" * 16
STATUS = ServerStatus(
    state="ready",
    boot_id="b",
    server_version="0",
    uptime_s=1.0,
    model="m",
    backend="cpu",
    active=0,
    queued=0,
    steps=0,
    seconds_since_step=None,
    rss_bytes=1,
)


class Driver:
    """Exchanges with a clock that the test moves and a list of what arrived."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr("bonsai_edge.rpc.exchanges.time", SimpleNamespace(monotonic=lambda: self.now))
        self.exchanges = Exchanges("tcp://127.0.0.1:5571", timeout_s=3.0)
        self.arrivals: list[Arrival] = []

    def begin(self, request_id: bytes = ID) -> Exchange:
        exchange = Exchange(request_id, encode(GetStatus(), request_id), self.arrivals.append)
        self.exchanges.begin(exchange)
        return exchange

    def send_all(self) -> list[ClientMessage]:
        messages = []
        while (frames := self.exchanges.next_frames()) is not None:
            messages.append(decode_client_message(frames).message)
            self.exchanges.mark_sent()
        return messages

    def receive(self, message: ServerMessage, request_id: bytes = ID) -> None:
        self.exchanges.receive(encode(message, request_id))

    def pass_time(self, seconds: float) -> list[ClientMessage]:
        self.now += seconds
        self.exchanges.tick()
        return self.send_all()

    def error(self) -> BonsaiError:
        error = self.arrivals[-1]
        assert isinstance(error, BonsaiError)
        return error


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    return Driver(monkeypatch)


def test_answers_arrive_in_order_and_end_the_exchange(driver: Driver) -> None:
    driver.begin()
    assert driver.send_all() == [GetStatus()]
    answers = [Accepted(1), Accepted(0), TextChunk(0, "a", [1]), TextChunk(1, "b", [2]), Text("ab")]
    for answer in answers:
        assert driver.exchanges.is_busy
        driver.receive(answer)
    assert driver.arrivals == answers
    assert not driver.exchanges.is_busy
    assert driver.exchanges.wait_s() is None


def test_stale_messages_are_dropped(driver: Driver) -> None:
    exchange = driver.begin()
    driver.send_all()
    driver.exchanges.end(exchange)
    driver.receive(TextChunk(0, "late", [1]))
    driver.receive(Text("unknown"), OTHER_ID)
    assert driver.arrivals == []


def test_request_that_is_given_up_is_cancelled_once(driver: Driver) -> None:
    exchange = driver.begin()
    driver.send_all()
    driver.exchanges.end(exchange)
    driver.exchanges.end(exchange)
    assert driver.send_all() == [Cancel((ID,))]


def test_request_that_was_never_sent_is_withdrawn_without_a_word(driver: Driver) -> None:
    driver.exchanges.end(driver.begin())
    assert driver.send_all() == []
    assert not driver.exchanges.is_busy


def test_request_that_has_ended_is_not_cancelled(driver: Driver) -> None:
    exchange = driver.begin()
    driver.send_all()
    driver.receive(ErrorMessage(code="internal_error", message="Bad.", remedy="Do.", retryable=False))
    driver.exchanges.end(exchange)
    assert driver.send_all() == []


def test_second_use_of_an_id_fails_without_harm_to_the_first(driver: Driver) -> None:
    driver.begin()
    second = driver.begin()
    assert isinstance(driver.error(), InvalidRequestError)
    driver.exchanges.end(second)
    assert driver.send_all() == [GetStatus()]
    driver.receive(Text("answer"))
    assert driver.arrivals[1:] == [Text("answer")]


def test_missing_connection_is_told_from_a_silent_server(driver: Driver) -> None:
    driver.begin()
    assert driver.exchanges.wait_s() == pytest.approx(0.005)
    driver.now += 3.0
    driver.exchanges.tick()
    assert isinstance(driver.error(), ServerUnreachableError)
    assert str(driver.error()) == (
        "No connection to tcp://127.0.0.1:5571 within 3 s; no server listens there. "
        "Start it with `bonsai-edge serve`, or check the endpoint."
    )
    assert driver.send_all() == []  # a server that comes later does not get it


def test_silent_server_is_pinged_then_given_up(driver: Driver) -> None:
    driver.begin()
    driver.send_all()
    assert driver.pass_time(0.9) == []
    assert driver.exchanges.wait_s() == pytest.approx(0.1)
    assert driver.pass_time(0.1) == [Ping((ID,))]
    assert driver.pass_time(0.5) == []
    assert driver.pass_time(0.5) == [Ping((ID,))]
    assert driver.arrivals == []
    assert driver.pass_time(1.0) == [Cancel((ID,))]
    assert isinstance(driver.error(), ServerUnreachableError)
    assert driver.error().cause == "The server at tcp://127.0.0.1:5571 has been silent for 3 s."


def test_server_that_answers_pings_may_work_for_hours(driver: Driver) -> None:
    driver.begin()
    driver.send_all()
    for _ in range(3600):
        assert driver.pass_time(1.0) == [Ping((ID,))]
        driver.receive(Pong(STATUS), OTHER_ID)
    assert driver.arrivals == []


def test_request_that_the_server_does_not_know_any_more_fails(driver: Driver) -> None:
    driver.begin()
    driver.send_all()
    driver.begin(OTHER_ID)  # not sent yet, so a server cannot know it
    driver.receive(Pong(STATUS, (ID, OTHER_ID)), b"p" * 16)
    assert len(driver.arrivals) == 1
    assert isinstance(driver.error(), ServerUnreachableError)
    assert driver.error().cause == (
        "The connection to tcp://127.0.0.1:5571 broke, and the server does not know the request any more."
    )


def test_gap_in_the_chunks_is_an_error(driver: Driver) -> None:
    driver.begin()
    driver.send_all()
    driver.receive(TextChunk(0, "a", [1]))
    driver.receive(TextChunk(2, "c", [3]))
    assert isinstance(driver.error(), ProtocolError)
    assert driver.error().cause == "Chunk 2 of the answer arrived where chunk 1 was expected."
    assert driver.send_all() == [Cancel((ID,))]


def test_answer_that_cannot_be_understood_is_an_error(driver: Driver) -> None:
    driver.begin()
    driver.send_all()
    driver.exchanges.receive([b"BE/2", b"FINAL", ID, b"\x80", b"\x80"])
    assert isinstance(driver.error(), ProtocolError)
    assert driver.error().cause == "The message is written in protocol 'BE/2'; 'BE/1' is spoken here."


def test_leaving_fails_what_is_under_way(driver: Driver) -> None:
    driver.begin()
    driver.send_all()
    driver.exchanges.fail_all("The client is closed.", "Make a new one.")
    driver.exchanges.leave()
    assert type(driver.error()) is RpcError
    assert driver.send_all() == [Cancel((ID,)), Bye()]
