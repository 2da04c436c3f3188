"""What a server publishes, and who may be slow about it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

import msgspec
import pytest
import zmq

from bonsai_edge.errors import ProtocolError, ServerUnreachableError
from bonsai_edge.rpc.async_client import AsyncClient
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.endpoint_roles import events_endpoint
from bonsai_edge.rpc.event_codec import STATUS_TOPIC, TELEMETRY_TOPIC, decode_event, encode_event
from bonsai_edge.rpc.events import EventPublisher
from bonsai_edge.rpc.messages import Event, ServerStatus, Telemetry, TelemetryReading
from bonsai_edge.rpc.server import Server
from bonsai_edge.rpc.sockets import events_socket
from bonsai_edge.rpc.subscription import connect_subscriber, latest
from bonsai_edge.sensors import Quantity, Reading, Sensor
from rpc_requests import DEADLINE_S, begin

if TYPE_CHECKING:
    from conftest import FakeModel, RawPeer

    OpenSocket = Callable[[int, str], zmq.Socket[bytes]]


STATUS = ServerStatus(
    state="ready",
    boot_id="b",
    server_version="0",
    uptime_s=1.0,
    model="m",
    backend="k",
    active=0,
    queued=0,
    steps=0,
    seconds_since_step=None,
    rss_bytes=1,
)


class FakeSensor(Sensor):
    source = "nowhere"
    quantities = frozenset({Quantity.TEMPERATURE, Quantity.THROTTLED})

    def __init__(self) -> None:
        self.is_closed = False

    def read(self) -> list[Reading]:
        return [Reading(Quantity.TEMPERATURE, "cpu", "", 51.5), Reading(Quantity.THROTTLED, "heat", "", 1.0)]

    def close(self) -> None:
        self.is_closed = True


def test_result_says_whether_the_hardware_slowed_itself_down(model: FakeModel, endpoint: str) -> None:
    model.run_freely()
    with Server(lambda: model, [endpoint], find_sensors=lambda: [FakeSensor()]) as server, Client(endpoint) as client:
        while "throttled" not in client.status().degraded_by:
            pass
        assert client.generate_text("abc").throttled is True
        assert server.boot_id
    with Server(lambda: model, [endpoint]), Client(endpoint) as client:
        assert client.generate_text("abc").throttled is None


class AbsentSensor(FakeSensor):
    def read(self) -> list[Reading]:
        raise OSError("switched off")


@pytest.fixture
def publisher() -> Iterator[tuple[EventPublisher, list[float]]]:
    """A publisher, and the moments at which it asked for the status."""
    asked_at: list[float] = []

    def status() -> ServerStatus:
        asked_at.append(time.monotonic())
        return STATUS

    with zmq.Context() as context, events_socket(context) as socket:
        socket.bind("inproc://events")
        yield EventPublisher(socket, status), asked_at


def subscribe(publisher: EventPublisher, topic: bytes) -> zmq.Socket[bytes]:
    subscriber: zmq.Socket[bytes] = publisher.socket.context.socket(zmq.SUB)
    subscriber.connect("inproc://events")
    subscriber.setsockopt(zmq.SUBSCRIBE, topic)
    assert publisher.socket.poll(DEADLINE_S * 1000)
    publisher.take_subscriptions()
    return subscriber


def next_status(events: Iterator[Event]) -> ServerStatus:
    return next(event for event in events if isinstance(event, ServerStatus))


# The server


def test_late_joiner_learns_the_status_within_a_second(client: Client) -> None:
    for _ in range(3):
        asked_at = time.monotonic()
        events = client.events()
        status = next_status(events)
        assert time.monotonic() - asked_at < 1.0
        assert (status.state, status.model, status.active) == ("ready", "fake", 0)
        events.close()


def test_status_comes_every_second_and_when_it_changes(client: Client, peer: RawPeer) -> None:
    with_changes = client.events()
    first = next_status(with_changes)
    began_at = time.monotonic()
    second = next_status(with_changes)
    assert 0.5 < second.uptime_s - first.uptime_s < 2.0
    begin(peer, "abc")
    changed = next(event for event in with_changes if isinstance(event, ServerStatus) and event.active)
    assert changed.uptime_s - second.uptime_s < 0.9
    assert time.monotonic() - began_at < DEADLINE_S
    with_changes.close()


def test_async_client_gets_the_same_events(server: Server) -> None:
    async def main() -> ServerStatus | Telemetry:
        async with AsyncClient(server.endpoints[0]) as client:
            events = client.events()
            try:
                return await anext(events)
            finally:
                await events.aclose()

    status = asyncio.run(main())
    assert isinstance(status, ServerStatus)
    assert status.boot_id == server.boot_id


def test_silent_server_is_said_to_be_unreachable(endpoint: str) -> None:
    with Client(endpoint, timeout_s=0.05) as client, pytest.raises(ServerUnreachableError) as caught:
        next(client.events())
    assert str(caught.value) == (
        f"No event came from {endpoint}.events for 1.05 s. "
        "Start the server with `bonsai-edge serve`, or check the endpoint."
    )


def test_readings_of_sensors_are_published_and_throttling_degrades(model: FakeModel, endpoint: str) -> None:
    sensors = [FakeSensor(), AbsentSensor()]
    with Server(lambda: model, [endpoint], find_sensors=lambda: sensors) as server, Client(endpoint) as client:
        events = client.events()
        telemetry = next(event for event in events if isinstance(event, Telemetry))
        events.close()
        assert telemetry == Telemetry(
            server.boot_id,
            (TelemetryReading("temperature_c", "cpu", "", 51.5), TelemetryReading("throttled", "heat", "", 1.0)),
        )
        status = client.status()
        assert (status.state, status.degraded_by, status.ready) == ("degraded", ("throttled",), True)
    assert all(sensor.is_closed for sensor in sensors)


def test_sensors_that_break_are_logged_and_harm_nobody(
    model: FakeModel, endpoint: str, caplog: pytest.LogCaptureFixture
) -> None:
    def find_sensors() -> list[Sensor]:
        raise RuntimeError("a defect in a plugin")

    with Server(lambda: model, [endpoint], find_sensors=find_sensors), Client(endpoint) as client:
        assert client.status().state == "ready"
    assert "a defect in a plugin" in caplog.text


def test_subscriber_that_does_not_read_holds_nobody_up(
    server: Server, client: Client, peer: RawPeer, model: FakeModel, open_socket: OpenSocket
) -> None:
    stuck = open_socket(zmq.SUB, events_endpoint(server.endpoints[0]))
    stuck.setsockopt(zmq.RCVHWM, 1)
    stuck.setsockopt(zmq.SUBSCRIBE, b"")
    events = client.events()
    next_status(events)
    for _ in range(2_000):
        server._control.take_readings([Reading(Quantity.TEMPERATURE, "cpu" * 500, "", 1.0)])
    model.run_freely()
    begin(peer, "abc")
    assert next_status(events).boot_id == server.boot_id
    events.close()


# The publisher


def test_nothing_is_asked_and_nothing_waited_for_while_nobody_listens(
    publisher: tuple[EventPublisher, list[float]],
) -> None:
    events, asked_at = publisher
    events.note_change()
    events.tick()
    assert asked_at == []
    assert events.next_at() == float("inf")
    with subscribe(events, TELEMETRY_TOPIC):
        events.tick()
        assert asked_at == []


def test_reader_who_was_busy_gets_the_newest_events() -> None:
    with zmq.Context() as context, context.socket(zmq.PUB) as publisher, context.socket(zmq.SUB) as subscriber:
        publisher.bind("inproc://newest")
        connect_subscriber(subscriber, "inproc://newest", None)
        for number in range(20):
            publisher.send_multipart([STATUS_TOPIC, b"%d" % number])
        assert [int(body) for _, body in latest(subscriber)] == list(range(12, 20))
        assert not latest(subscriber)


def test_leaving_subscribers_are_noticed(publisher: tuple[EventPublisher, list[float]]) -> None:
    events, asked_at = publisher
    subscribe(events, STATUS_TOPIC).close(linger=0)
    assert events.socket.poll(DEADLINE_S * 1000)
    events.take_subscriptions()
    events.tick()
    assert asked_at == []


def test_changes_in_quick_succession_are_told_together(publisher: tuple[EventPublisher, list[float]]) -> None:
    events, asked_at = publisher
    with subscribe(events, b"") as subscriber:
        while len(asked_at) < 4:
            events.note_change()
            events.tick()
        # Each is noted a moment after it was due, the first of two perhaps longer.
        assert all(after - before >= 0.05 for before, after in pairwise(asked_at))
        for _ in asked_at:
            assert decode_event(subscriber.recv_multipart()) == STATUS


@pytest.mark.parametrize("subscription", [b"", b"\x01nonsense", b"\x02", b"\x00status"])
def test_strange_subscriptions_are_ignored(publisher: tuple[EventPublisher, list[float]], subscription: bytes) -> None:
    events, asked_at = publisher
    with events.socket.context.socket(zmq.XSUB) as subscriber:
        subscriber.connect("inproc://events")
        subscriber.send(subscription)
        events.socket.poll(20)
        events.take_subscriptions()
        events.tick()
        assert asked_at == []


# Frames


@pytest.mark.parametrize("event", [STATUS, Telemetry("b", (TelemetryReading("power_w", "rail", "rail", 1.5),))])
def test_event_survives_its_frames(event: Event) -> None:
    assert decode_event(encode_event(event)) == event


@pytest.mark.parametrize(
    "frames",
    [[], [b"status"], [b"status", b"x"], [b"status", b"\x80"], [b"status", msgspec.msgpack.encode({"type": "x"}), b""]],
)
def test_malformed_event_raises_protocol_error(frames: list[bytes]) -> None:
    with pytest.raises(ProtocolError, match="An event is not valid: "):
        decode_event(frames)
