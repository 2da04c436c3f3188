from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
import zmq
import zmq.auth

from bonsai_edge.errors import KeyFileError
from bonsai_edge.rpc.security.key_files import (
    create_key_pair,
    is_key,
    load_client_keys,
    load_server_keys,
    read_public_key,
)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_new_keys_are_for_this_user_only_and_zeromq_reads_them(tmp_path: Path) -> None:
    directory = tmp_path / "made" / "keys"
    public = create_key_pair(directory, "server")
    assert (mode_of(directory), mode_of(directory / "server.key_secret")) == (0o700, 0o600)
    assert sorted(path.name for path in directory.iterdir()) == ["server.key", "server.key_secret"]
    assert zmq.auth.load_certificate(directory / "server.key") == (public.encode(), None)
    loaded_public, secret = zmq.auth.load_certificate(directory / "server.key_secret")
    assert secret is not None
    assert zmq.curve_public(secret) == loaded_public == public.encode()
    assert load_server_keys(directory).secret == secret


def test_secret_is_not_shown_by_the_objects_that_hold_it(tmp_path: Path) -> None:
    create_key_pair(tmp_path / "a", "server")
    create_key_pair(tmp_path / "a", "client")
    server, client = load_server_keys(tmp_path / "a"), load_client_keys(tmp_path / "a")
    assert server.secret.decode() not in repr(server)
    assert client.secret.decode() not in repr(client)


def test_keys_are_never_replaced(tmp_path: Path) -> None:
    create_key_pair(tmp_path / "a", "client")
    before = (tmp_path / "a" / "client.key_secret").read_bytes()
    with pytest.raises(KeyFileError, match=r"client\.key_secret exists already"):
        create_key_pair(tmp_path / "a", "client")
    assert (tmp_path / "a" / "client.key_secret").read_bytes() == before


@pytest.mark.parametrize("mode", [0o755, 0o710, 0o777])
def test_directory_open_to_others_holds_no_keys(tmp_path: Path, mode: int) -> None:
    directory = tmp_path / "keys"
    create_key_pair(directory, "server")
    directory.chmod(mode)
    for use in (load_server_keys, lambda where: create_key_pair(where, "client")):
        with pytest.raises(KeyFileError) as caught:
            use(directory)
        assert caught.value.cause == f"The directory {directory} of the keys is open to other users."
        assert caught.value.remedy == f"Run `chmod 700 {directory}`."


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_secret_open_to_others_is_not_used(tmp_path: Path, mode: int) -> None:
    create_key_pair(tmp_path / "keys", "server")
    secret = tmp_path / "keys" / "server.key_secret"
    secret.chmod(mode)
    with pytest.raises(KeyFileError, match=f"{secret} is open to other users. Take it back with `chmod 600"):
        load_server_keys(tmp_path / "keys")


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "No public key found"),
        ('curve\n    public-key = "short"\n    secret-key = "short"\n', "what it holds is no key"),
        ('curve\n    public-key = "{public}"\n', "it holds no secret key"),
        ('curve\n    public-key = "{public}"\n    secret-key = "ÿ"\n', "what it holds is no key"),
    ],
    ids=["empty", "short", "public", "bytes"],
)
def test_damaged_key_file_is_told(tmp_path: Path, content: str, problem: str) -> None:
    public = create_key_pair(tmp_path / "keys", "server")
    path = tmp_path / "keys" / "server.key_secret"
    path.write_text(content.replace("{public}", public))
    with pytest.raises(KeyFileError, match=problem) as caught:
        load_server_keys(tmp_path / "keys")
    assert caught.value.cause.startswith(f"{path} cannot be used: ")


def test_missing_keys_are_told_with_the_command_that_makes_them(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError) as caught:
        load_server_keys(tmp_path / "none")
    assert str(caught.value) == (
        f"There is no {tmp_path}/none/server.key_secret. "
        f"Make it with `bonsai-edge keys new server --keys {tmp_path}/none`."
    )


def test_zeromq_without_curve_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq, "has", lambda feature: feature != "curve")
    with pytest.raises(KeyFileError, match="This pyzmq was built without CURVE"):
        create_key_pair(tmp_path / "keys", "server")


def test_client_needs_the_key_of_its_server(tmp_path: Path) -> None:
    public = create_key_pair(tmp_path / "client", "client")
    with pytest.raises(KeyFileError, match=r"There is no .*/server\.key\. Copy that file from the server"):
        load_client_keys(tmp_path / "client")
    server_public = create_key_pair(tmp_path / "server", "server")
    shutil.copy(tmp_path / "server" / "server.key", tmp_path / "client")
    keys = load_client_keys(tmp_path / "client")
    assert (keys.public.decode(), keys.server_public.decode()) == (public, server_public)


def test_public_key_is_given_as_text_or_as_file(tmp_path: Path) -> None:
    public = create_key_pair(tmp_path / "client", "client")
    assert read_public_key(public) == read_public_key(str(tmp_path / "client" / "client.key")) == public
    with pytest.raises(KeyFileError, match="is neither a public key of 40 characters nor a file with one"):
        read_public_key(public[:-1])


@pytest.mark.parametrize("text", ["", "a" * 39, "a" * 41, '"' * 40, "é" * 40, "#" * 40])
def test_what_is_no_key_is_recognized(text: str) -> None:
    assert not is_key(text)
    assert is_key("a" * 40)


def test_new_public_key_is_not_taken_for_an_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = zmq.curve_keypair()
    pairs = iter([(b"-" + kept[0][1:], kept[1]), kept])
    monkeypatch.setattr(zmq, "curve_keypair", lambda: next(pairs))
    assert create_key_pair(tmp_path / "a", "client") == kept[0].decode()
