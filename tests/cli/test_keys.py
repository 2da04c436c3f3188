from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bonsai_edge.cli import main
from bonsai_edge.rpc.security.key_files import is_key

Run = Callable[..., Result]


@pytest.fixture
def run(cli: CliRunner, tmp_path: Path) -> Run:
    return lambda *arguments: cli.invoke(main, ["keys", *arguments, "--keys", str(tmp_path / "keys")])


@pytest.fixture
def client_key(cli: CliRunner, tmp_path: Path) -> Path:
    assert cli.invoke(main, ["keys", "new", "client", "--keys", str(tmp_path / "laptop")]).exit_code == 0
    return tmp_path / "laptop" / "client.key"


def test_new_prints_the_public_key_and_says_which_file_is_for_whom(run: Run, tmp_path: Path) -> None:
    result = run("new", "server")
    assert result.exit_code == 0
    assert is_key(result.stdout.strip())
    assert result.stderr == f"{tmp_path}/keys/server.key is for its clients, server.key_secret for nobody else.\n"
    assert result.stdout.strip() in (tmp_path / "keys" / "server.key").read_text()
    again = run("new", "server")
    assert (again.exit_code, again.stdout) == (1, "")
    assert again.stderr.startswith("Error [bad_keys]: ")


def test_new_for_machines(run: Run, tmp_path: Path) -> None:
    described = json.loads(run("new", "client", "--json").stdout)
    assert is_key(described.pop("public_key"))
    assert described == {
        "side": "client",
        "public_file": f"{tmp_path}/keys/client.key",
        "secret_file": f"{tmp_path}/keys/client.key_secret",
    }


def test_keys_are_allowed_listed_and_revoked(run: Run, client_key: Path) -> None:
    run("new", "server")
    allowed = run("allow", "laptop", str(client_key), "--role", "control", "--max-requests", "3")
    assert (allowed.exit_code, allowed.stderr) == (0, "laptop is allowed to control.\n")
    (entry,) = json.loads(run("list", "--json").stdout)["keys"]
    key = entry.pop("key")
    assert entry == {"name": "laptop", "role": "control", "max_requests": 3}
    assert run("allow", "laptop", key).stderr == "laptop is allowed to generate.\n"
    listed = run("list")
    assert "".join(listed.stdout.split()) == f"namerolerequestskeylaptopgenerate16{key}"
    assert listed.stderr == "1 key is allowed.\n"
    assert run("revoke", "laptop").stderr == "laptop is not allowed any more.\n"
    assert json.loads(run("list", "--json").stdout)["keys"] == []


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["allow", "a b", "KEY"], "Error [invalid_request]: 'a b' is no name for a key: "),
        (["allow", "laptop", "none"], "Error [bad_keys]: 'none' is neither a public key of 40 characters nor a file"),
        (["revoke", "laptop"], "Error [bad_keys]: There is no "),
        (["list"], "Error [bad_keys]: There is no "),
    ],
)
def test_mistakes_are_one_line(run: Run, client_key: Path, arguments: list[str], problem: str) -> None:
    run("new", "server")
    result = run(*(str(client_key) if each == "KEY" else each for each in arguments))
    assert result.exit_code == 1
    assert result.stderr.startswith(problem)
    assert result.stderr.count("\n") == 1


def test_directory_must_be_named(cli: CliRunner) -> None:
    result = cli.invoke(main, ["keys", "list"])
    assert result.exit_code == 2
    assert "Missing option '--keys'" in result.stderr


def test_serve_without_its_keys_does_not_start(cli: CliRunner, tmp_path: Path) -> None:
    result = cli.invoke(main, ["serve", "--bind", "tcp://*:0", "--keys", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error [bad_keys]: There is no {tmp_path}/none/server.key_secret. "
        f"Make it with `bonsai-edge keys new server --keys {tmp_path}/none`.\n"
    )


def test_ask_without_its_keys_is_one_line(cli: CliRunner, tmp_path: Path) -> None:
    result = cli.invoke(main, ["ask", "hi", "--connect", "tcp://robot:5571", "--keys", str(tmp_path / "none")])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error [bad_keys]: There is no {tmp_path}/none/client.key_secret. ")
    result = cli.invoke(main, ["ask", "hi", "--connect", "tcp://robot:5571"])
    assert result.stderr.startswith("Error [bad_endpoint]: 'tcp://robot:5571' does not stay on this machine")
