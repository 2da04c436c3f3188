"""Directories of keys for a server and its clients, and a server that asks for them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import zmq

from bonsai_edge.rpc.client import Client
from bonsai_edge.rpc.security.allow_list import AllowedKey, allow
from bonsai_edge.rpc.security.key_files import create_key_pair, load_client_keys, load_server_keys, read_public_key
from bonsai_edge.rpc.security.roles import Role
from bonsai_edge.rpc.server import Server

if TYPE_CHECKING:
    from conftest import FakeModel

DEADLINE_S = 10.0


@pytest.fixture
def server_directory(tmp_path: Path) -> Path:
    """Keys of a server that allows nobody yet but `first`, whose keys nobody has kept."""
    directory = tmp_path / "server"
    create_key_pair(directory, "server")
    create_key_pair(tmp_path / "first", "client")
    allow(directory, AllowedKey(name="first", key=read_public_key(str(tmp_path / "first" / "client.key"))))
    return directory


@pytest.fixture
def new_client(tmp_path: Path, server_directory: Path) -> Callable[..., Path]:
    """Make the directory of a client; with a role its key is allowed too."""

    def new_client(name: str, role: Role | None = None, max_requests: int = 16) -> Path:
        directory = tmp_path / name
        key = create_key_pair(directory, "client")
        shutil.copy(server_directory / "server.key", directory)
        if role is not None:
            allow(server_directory, AllowedKey(name=name, key=key, role=role, max_requests=max_requests))
        return directory

    return new_client


@pytest.fixture
def keyed_server(model: FakeModel, server_directory: Path, tmp_path: Path) -> Iterator[Server]:
    endpoints = ["tcp://127.0.0.1:*", f"ipc://{tmp_path}/s"]
    with Server(lambda: model, endpoints, keys=load_server_keys(server_directory)) as server:
        yield server
        model.run_freely()


@pytest.fixture
def connect_with(keyed_server: Server) -> Iterator[Callable[[Path], Client]]:
    """Connect a client with the keys of a directory."""
    clients: list[Client] = []

    def connect_with(directory: Path) -> Client:
        clients.append(Client(keyed_server.endpoints[0], timeout_s=DEADLINE_S, keys=directory))
        return clients[-1]

    yield connect_with
    for client in clients:
        client.close()


@pytest.fixture
def open_dealer() -> Iterator[Callable[..., zmq.Socket[bytes]]]:
    """Connect a plain DEALER with keys of a directory, and options set before; it has deadlines."""
    sockets: list[zmq.Socket[bytes]] = []
    with zmq.Context() as context:

        def open_dealer(endpoint: str, directory: Path | None = None, **options: bytes) -> zmq.Socket[bytes]:
            dealer = context.socket(zmq.DEALER)
            sockets.append(dealer)
            dealer.linger = 0
            dealer.rcvtimeo = dealer.sndtimeo = int(DEADLINE_S * 1000)
            for name, value in options.items():
                dealer.setsockopt(getattr(zmq, name), value)
            if directory is not None:
                keys = load_client_keys(directory)
                dealer.curve_serverkey, dealer.curve_publickey = keys.server_public, keys.public
                dealer.curve_secretkey = keys.secret
            dealer.connect(endpoint)
            return dealer

        yield open_dealer
        for dealer in sockets:
            dealer.close()
