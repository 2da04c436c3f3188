from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from bonsai_edge.errors import EndpointError, EndpointInUseError
from bonsai_edge.rpc.listening import bind, prepare_default_endpoints


@pytest.fixture
def router() -> Iterator[zmq.Socket[bytes]]:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as router:
        router.linger = 0
        yield router


@pytest.fixture
def runtime_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "bonsai-edge"


def test_default_socket_is_in_a_directory_that_only_the_user_enters(
    router: zmq.Socket[bytes], runtime_directory: Path
) -> None:
    endpoint, tcp_endpoint = prepare_default_endpoints()
    assert (endpoint, tcp_endpoint) == (f"ipc://{runtime_directory}/server.sock", "tcp://127.0.0.1:5571")
    bind(router, endpoint)
    assert stat.S_IMODE(runtime_directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((runtime_directory / "server.sock").stat().st_mode) & 0o077 == 0


def test_default_directory_open_to_others_is_refused(runtime_directory: Path) -> None:
    runtime_directory.mkdir()
    runtime_directory.chmod(0o755)
    with pytest.raises(EndpointError, match=f"The directory {runtime_directory} is open to other users"):
        prepare_default_endpoints()


def test_default_directory_that_others_could_replace_is_refused(runtime_directory: Path) -> None:
    runtime_directory.parent.chmod(0o777)
    with pytest.raises(EndpointError, match=f"The directory {runtime_directory} is open to other users"):
        prepare_default_endpoints()


def test_default_directory_that_cannot_be_made_is_refused(runtime_directory: Path) -> None:
    runtime_directory.write_text("in the way")
    with pytest.raises(EndpointError, match=f"Cannot make the directory {runtime_directory}: File exists"):
        prepare_default_endpoints()


def test_socket_is_private_wherever_it_is(router: zmq.Socket[bytes], tmp_path: Path) -> None:
    previous_mask = os.umask(0o022)
    try:
        bind(router, f"ipc://{tmp_path}/s")
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(previous_mask)
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) & 0o077 == 0


def test_socket_file_of_a_dead_server_is_replaced(router: zmq.Socket[bytes], tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert bind(router, f"ipc://{path}").endpoint == f"ipc://{path}"


def test_socket_of_a_living_server_is_left_alone(router: zmq.Socket[bytes], tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as living:
        living.bind(str(path))
        living.listen()
        with pytest.raises(EndpointInUseError, match=f"Another process listens on ipc://{path}"):
            bind(router, f"ipc://{path}")
        with socket.socket(socket.AF_UNIX) as caller:
            caller.connect(str(path))


def test_file_that_is_no_socket_is_left_alone(router: zmq.Socket[bytes], tmp_path: Path) -> None:
    thesis = tmp_path / "thesis.txt"
    thesis.write_text("years of work")
    with pytest.raises(EndpointError, match=r"exists and is not a socket\. Choose another path; nothing was changed\."):
        bind(router, f"ipc://{thesis}")
    assert thesis.read_text() == "years of work"


def test_directory_of_the_socket_must_exist(router: zmq.Socket[bytes], tmp_path: Path) -> None:
    with pytest.raises(EndpointError) as caught:
        bind(router, f"ipc://{tmp_path}/none/s")
    assert str(caught.value) == (
        f"The directory {tmp_path}/none of the socket cannot be used: No such file or directory. "
        "Create it, or choose another."
    )


def test_port_in_use_is_said(router: zmq.Socket[bytes]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        endpoint = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(EndpointInUseError) as caught:
            bind(router, endpoint)
    assert str(caught.value) == (
        f"Another process listens on {endpoint}. Stop it, or choose another endpoint with --bind."
    )


def test_chosen_port_is_reported(router: zmq.Socket[bytes]) -> None:
    endpoint = bind(router, "tcp://127.0.0.1:*").endpoint
    assert endpoint.startswith("tcp://127.0.0.1:")
    assert int(endpoint.rpartition(":")[2]) > 0


def test_only_the_own_socket_file_is_removed(router: zmq.Socket[bytes], tmp_path: Path) -> None:
    path = tmp_path / "s"
    listener = bind(router, f"ipc://{path}")
    path.rename(tmp_path / "old")
    path.write_text("of another server")
    listener.remove_file()
    assert path.exists()
    path.unlink()
    (tmp_path / "old").rename(path)
    listener.remove_file()
    assert not path.exists()
    listener.remove_file()
