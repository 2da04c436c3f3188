"""A real server with real keys: who gets in, and who may do what to whom."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
import uuid
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq
import zmq.auth
from click.testing import CliRunner

from bonsai_edge.cli import main
from bonsai_edge.errors import (
    BusyError,
    EndpointError,
    ForbiddenError,
    HandshakeError,
    KeyFileError,
    RemoteError,
    RpcError,
    ServerUnreachableError,
)
from bonsai_edge.generation import GenerationResult, TextChunk
from bonsai_edge.rpc.async_client import AsyncClient
from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.codec import decode_server_message, encode
from bonsai_edge.rpc.messages import Accepted, Generate, GetStatus, Rejected, ServerStatus
from bonsai_edge.rpc.security.allow_list import AllowedKey, allow, allow_list_path, revoke
from bonsai_edge.rpc.security.key_files import create_key_pair, load_client_keys, load_server_keys
from bonsai_edge.rpc.security.roles import Role
from bonsai_edge.rpc.server import Server

if TYPE_CHECKING:
    from conftest import FakeModel

DEADLINE_S = 10.0
ID = uuid.UUID("01234567-89ab-4def-8123-456789abcdef")
NewClient = Callable[..., Path]
ConnectWith = Callable[[Path], Client]
OpenDealer = Callable[..., zmq.Socket[bytes]]


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_allowed_client_is_served(connect_with: ConnectWith, new_client: NewClient, model: FakeModel) -> None:
    model.run_freely()
    client = connect_with(new_client("arm", Role.GENERATE))
    assert client.generate_text("hello").text == "hello"
    assert client.status().state == "ready"


def test_ask_reaches_a_server_with_keys(keyed_server: Server, new_client: NewClient, model: FakeModel) -> None:
    model.run_freely()
    arguments = ["ask", "dock now", "--connect", keyed_server.endpoints[0], "--raw", "--keys"]
    asked = CliRunner().invoke(main, [*arguments, str(new_client("arm", Role.GENERATE))])
    assert (asked.exit_code, asked.stdout) == (0, "dock now\n")
    refused = CliRunner().invoke(main, [*arguments, str(new_client("stranger"))])
    assert (refused.exit_code, refused.stderr) == (
        1,
        f"Error [handshake_failed]: The server at {keyed_server.endpoints[0]} does not allow the key of this client. "
        "Allow it there with `bonsai-edge keys allow`.\n",
    )


def test_unknown_key_is_refused_at_once_and_let_in_once_it_is_allowed(
    keyed_server: Server, connect_with: ConnectWith, new_client: NewClient, server_directory: Path
) -> None:
    directory = new_client("stranger")
    client = connect_with(directory)
    asked_at = time.monotonic()
    for _ in range(2):
        with pytest.raises(HandshakeError) as caught:
            client.status()
        assert caught.value.cause == (
            f"The server at {keyed_server.endpoints[0]} does not allow the key of this client."
        )
    assert time.monotonic() - asked_at < DEADLINE_S / 2
    allow_late(server_directory, directory)
    assert client.status().state == "ready"


def allow_late(server_directory: Path, client_directory: Path) -> None:
    allow(server_directory, AllowedKey(name="late", key=load_client_keys(client_directory).public.decode()))


def test_unknown_key_never_gets_a_byte_through(
    keyed_server: Server, open_dealer: OpenDealer, new_client: NewClient
) -> None:
    dealer = open_dealer(keyed_server.endpoints[0], new_client("stranger"))
    dealer.send_multipart(encode(GetStatus(), ID.bytes))
    assert dealer.poll(300) == 0


def test_client_without_keys_is_told_that_they_are_needed(keyed_server: Server) -> None:
    # Which of the two it is depends on whether the server's greeting arrives before it hangs up.
    with (
        Client(keyed_server.endpoints[0], timeout_s=1.0) as client,
        pytest.raises((HandshakeError, ServerUnreachableError), match="asks for a key"),
    ):
        client.status()


def test_connection_without_curve_never_gets_a_byte_through(keyed_server: Server, open_dealer: OpenDealer) -> None:
    dealer = open_dealer(keyed_server.endpoints[0])
    dealer.send_multipart(encode(GetStatus(), ID.bytes))
    assert dealer.poll(300) == 0


def test_plain_user_and_password_are_refused(keyed_server: Server, open_dealer: OpenDealer) -> None:
    dealer = open_dealer(keyed_server.endpoints[0], PLAIN_USERNAME=b"local", PLAIN_PASSWORD=b"local")
    dealer.send_multipart(encode(GetStatus(), ID.bytes))
    assert dealer.poll(300) == 0


def test_client_does_not_talk_to_a_server_with_another_key(
    keyed_server: Server, new_client: NewClient, tmp_path: Path
) -> None:
    directory = new_client("arm", Role.GENERATE)
    create_key_pair(tmp_path / "other", "server")
    (directory / "server.key").write_bytes((tmp_path / "other" / "server.key").read_bytes())
    with (
        Client(keyed_server.endpoints[0], timeout_s=DEADLINE_S, keys=directory) as client,
        pytest.raises(HandshakeError, match=r"or is another one than `server\.key` belongs to"),
    ):
        client.status()


def test_client_with_keys_is_told_of_a_server_without(model: FakeModel, new_client: NewClient) -> None:
    with (
        Server(lambda: model, ["tcp://127.0.0.1:*"]) as server,
        Client(server.endpoints[0], timeout_s=DEADLINE_S, keys=new_client("arm")) as client,
        pytest.raises(HandshakeError, match=r"The server at .* uses no keys"),
    ):
        client.status()


def test_absent_server_is_still_unreachable_and_not_refused(new_client: NewClient) -> None:
    keys = new_client("arm")
    with Client("tcp://127.0.0.1:9", timeout_s=0.5, keys=keys) as client, pytest.raises(ServerUnreachableError):
        client.status()


def test_async_client_has_keys_too(keyed_server: Server, new_client: NewClient, server_directory: Path) -> None:
    endpoint = keyed_server.endpoints[0]

    async def ask(keys: Path | None) -> str:
        async with AsyncClient(endpoint, timeout_s=1.0, keys=keys) as client:
            return (await client.status()).state

    async def ask_refused_and_allowed(keys: Path) -> str:
        async with AsyncClient(endpoint, timeout_s=DEADLINE_S, keys=keys) as client:
            with pytest.raises(HandshakeError, match="does not allow the key of this client"):
                await client.status()
            allow_late(server_directory, keys)
            return (await client.status()).state

    assert asyncio.run(ask(new_client("arm", Role.GENERATE))) == "ready"
    with pytest.raises((HandshakeError, ServerUnreachableError), match="asks for a key"):
        asyncio.run(ask(None))
    assert asyncio.run(ask_refused_and_allowed(new_client("late"))) == "ready"


def test_socket_file_needs_no_key_and_has_all_rights(
    keyed_server: Server, connect_with: ConnectWith, new_client: NewClient, model: FakeModel
) -> None:
    events = connect_with(new_client("arm", Role.GENERATE)).generate("abc", request_id=ID)
    model.allow()
    next(events)
    with Client(keyed_server.endpoints[1], timeout_s=DEADLINE_S) as local:
        assert local.cancel(ID)
    model.run_freely()
    assert finish_reason(list(events)[-1]) == "cancelled"


def finish_reason(event: object) -> str:
    assert isinstance(event, GenerationResult)
    return event.finish_reason


def test_request_of_another_key_can_neither_be_cancelled_nor_taken_over(
    connect_with: ConnectWith, new_client: NewClient, model: FakeModel
) -> None:
    owner, other = connect_with(new_client("arm", Role.GENERATE)), connect_with(new_client("leg", Role.GENERATE))
    events = owner.generate("abc", request_id=ID)
    model.allow()
    assert isinstance(next(events), TextChunk)
    with pytest.raises(ForbiddenError, match=r"The request belongs to another key\."):
        other.cancel(ID)
    with pytest.raises(ForbiddenError, match=r"The request belongs to another key\."):
        other.generate_text("mine now", request_id=ID)
    model.run_freely()
    assert finish_reason(list(events)[-1]) == "stop"


def test_own_request_can_be_cancelled_from_another_connection_of_the_key(
    connect_with: ConnectWith, new_client: NewClient, model: FakeModel
) -> None:
    directory = new_client("arm", Role.GENERATE)
    events = connect_with(directory).generate("abc", request_id=ID)
    model.allow()
    next(events)
    assert connect_with(directory).cancel(ID)
    model.run_freely()
    assert finish_reason(list(events)[-1]) == "cancelled"


def test_role_control_cancels_requests_of_others(
    connect_with: ConnectWith, new_client: NewClient, model: FakeModel
) -> None:
    events = connect_with(new_client("arm", Role.GENERATE)).generate("abc", request_id=ID)
    model.allow()
    next(events)
    assert connect_with(new_client("desk", Role.CONTROL)).cancel(ID)
    model.run_freely()
    assert finish_reason(list(events)[-1]) == "cancelled"


def test_quota_counts_all_connections_of_a_key_and_no_other(
    connect_with: ConnectWith, new_client: NewClient, model: FakeModel
) -> None:
    directory = new_client("arm", Role.GENERATE, max_requests=1)
    events = connect_with(directory).generate("abc")
    model.allow()
    next(events)
    with pytest.raises(BusyError, match="As many requests of this key wait or run as it may have"):
        connect_with(directory).generate_text("d")
    others = connect_with(new_client("leg", Role.GENERATE)).generate("e")
    model.run_freely()
    assert finish_reason(list(others)[-1]) == finish_reason(list(events)[-1]) == "stop"
    assert connect_with(directory).generate_text("d").text == "d"


def test_revoked_key_loses_what_it_runs_and_every_right_though_its_connection_stays(
    connect_with: ConnectWith, new_client: NewClient, server_directory: Path, model: FakeModel
) -> None:
    revoked, other = connect_with(new_client("arm", Role.GENERATE)), connect_with(new_client("leg", Role.GENERATE))
    events = revoked.generate("abc", request_id=ID)
    model.allow()
    next(events)
    assert other.status().active == 1
    revoke(server_directory, "arm")
    with pytest.raises(ForbiddenError, match="The key of this connection is not allowed, or not any more"):
        list(events)
    model.run_freely()
    wait_until(lambda: other.status().active == 0)
    with pytest.raises(ForbiddenError, match="The key of this connection is not allowed, or not any more"):
        revoked.status()
    assert other.generate_text("on").text == "on"
    with pytest.raises(HandshakeError):
        connect_with(server_directory.parent / "arm").status()


def is_refused(client: Client) -> bool:
    try:
        client.hello()
    except ForbiddenError:
        return True
    return False


def test_list_that_is_damaged_allows_nobody_until_it_is_repaired(
    connect_with: ConnectWith,
    new_client: NewClient,
    server_directory: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    client = connect_with(new_client("arm", Role.GENERATE))
    assert not is_refused(client)
    path = allow_list_path(server_directory)
    content = path.read_bytes()
    path.write_bytes(content[:-5])
    wait_until(lambda: is_refused(client))
    assert "No key is allowed any more" in caplog.text
    path.write_bytes(content)
    wait_until(lambda: not is_refused(client))


def test_client_that_chooses_its_routing_id_is_refused(
    keyed_server: Server, open_dealer: OpenDealer, new_client: NewClient
) -> None:
    dealer = open_dealer(keyed_server.endpoints[0], new_client("arm", Role.GENERATE), ROUTING_ID=b"arm")
    dealer.send_multipart(encode(Generate("a"), ID.bytes))
    message = decode_server_message(dealer.recv_multipart()).message
    assert isinstance(message, Rejected)
    assert (message.code, message.remedy) == ("forbidden", "Leave ZMQ_ROUTING_ID unset.")


def test_any_socket_with_the_right_keys_is_a_client(
    keyed_server: Server, open_dealer: OpenDealer, new_client: NewClient
) -> None:
    dealer = open_dealer(keyed_server.endpoints[0], new_client("arm", Role.GENERATE))
    dealer.send_multipart(encode(Generate("a"), ID.bytes))
    assert isinstance(decode_server_message(dealer.recv_multipart()).message, Accepted)


@pytest.mark.parametrize(("bound", "connected"), [("tcp://*:*", "127.0.0.1"), ("tcp://[::1]:*", "[::1]")])
def test_any_address_may_be_bound_with_keys(
    model: FakeModel, server_directory: Path, new_client: NewClient, bound: str, connected: str
) -> None:
    if connected == "[::1]" and not has_ipv6():
        pytest.skip("this machine has no IPv6")
    directory = new_client("arm", Role.GENERATE)
    with Server(lambda: model, [bound], keys=load_server_keys(server_directory)) as server:
        port = server.endpoints[0].rpartition(":")[2]
        with Client(f"tcp://{connected}:{port}", timeout_s=DEADLINE_S, keys=directory) as client:
            assert client.status().state == "ready"
        with Client(f"tcp://{connected}:{port}", timeout_s=0.5) as keyless, pytest.raises(RpcError, match="for a key"):
            keyless.status()


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True


def test_without_keys_no_address_beyond_this_machine_is_bound(model: FakeModel) -> None:
    for endpoint in ("tcp://*:0", "tcp://0.0.0.0:0", "tcp://[::]:0", "tcp://eth0:0"):
        with pytest.raises(EndpointError, match="can be reached from other machines, and there are no keys"):
            Server(lambda: model, [endpoint])


def test_server_that_allows_nobody_does_not_start(model: FakeModel, tmp_path: Path) -> None:
    create_key_pair(tmp_path / "keys", "server")
    with pytest.raises(KeyFileError, match="so that no client is allowed"):
        Server(lambda: model, ["tcp://127.0.0.1:*"], keys=load_server_keys(tmp_path / "keys"))


def test_server_that_never_runs_lets_nobody_in_and_can_be_closed(
    model: FakeModel, server_directory: Path, open_dealer: OpenDealer, new_client: NewClient
) -> None:
    directory = new_client("arm", Role.GENERATE)
    server = Server(lambda: model, ["tcp://127.0.0.1:*"], keys=load_server_keys(server_directory))
    dealer = open_dealer(server.endpoints[0], directory)
    dealer.send_multipart(encode(GetStatus(), ID.bytes))
    assert dealer.poll(100) == 0
    server.close()


def test_prompts_and_keys_are_not_logged(
    connect_with: ConnectWith,
    new_client: NewClient,
    model: FakeModel,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    model.run_freely()
    client = connect_with(new_client("arm", Role.GENERATE))
    stranger = connect_with(new_client("stranger"))
    client.generate_text("xyzzy")
    client.tokenize("xyzzy")
    with pytest.raises(RemoteError):
        client.generate_text("xyzzy!")  # the model breaks
    with pytest.raises(HandshakeError):
        stranger.status()
    assert "a defect in the model" in caplog.text
    assert "keys that are not allowed were refused: 1, the last from 127.0.0.1" in caplog.text
    assert "xyzzy" not in caplog.text
    secrets = [zmq.auth.load_certificate(path)[1] for path in tmp_path.glob("*/*.key_secret")]
    assert len(secrets) == 4
    assert not any(secret is None or secret.decode() in caplog.text for secret in secrets)


def test_control_and_events_ask_for_keys_and_roles_too(connect_with: ConnectWith, new_client: NewClient) -> None:
    arm, desk = connect_with(new_client("arm", Role.GENERATE)), connect_with(new_client("desk", Role.CONTROL))
    with pytest.raises(ForbiddenError):
        arm.halt()
    assert desk.halt("door open") == []
    events = arm.events()
    status = next(events)
    assert isinstance(status, ServerStatus)
    assert status.halt_reason == "door open"
    events.close()


def test_revoked_key_gets_no_more_events_and_others_do(
    keyed_server: Server, new_client: NewClient, server_directory: Path
) -> None:
    with (
        Client(keyed_server.endpoints[0], timeout_s=1.0, keys=new_client("arm", Role.GENERATE)) as revoked,
        Client(keyed_server.endpoints[0], timeout_s=DEADLINE_S, keys=new_client("leg", Role.GENERATE)) as other,
    ):
        events, others = revoked.events(), other.events()
        assert next(events)
        assert next(others)
        revoke(server_directory, "arm")
        with pytest.raises(ServerUnreachableError, match="No event came from"):
            list(islice(events, 100))
        assert next(others)


def test_events_are_not_for_strangers(keyed_server: Server, new_client: NewClient) -> None:
    stranger = Client(keyed_server.endpoints[0], timeout_s=0.2, keys=new_client("stranger"))
    with stranger, pytest.raises(ServerUnreachableError, match="No event came from"):
        next(stranger.events())
