"""The command `sessions`, on a store with small sessions."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.filesize import decimal

from bonsai_edge.cli import main
from bonsai_edge.sessions.store import DAILY_WRITES_VARIABLE, MAX_SIZE_VARIABLE, SESSIONS_VARIABLE, SessionStore
from session_content import content, encode, is_whole, proven

SIZE = len(encode(content()))


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SessionStore:
    monkeypatch.setenv(SESSIONS_VARIABLE, str(tmp_path))
    monkeypatch.delenv(MAX_SIZE_VARIABLE, raising=False)
    monkeypatch.delenv(DAILY_WRITES_VARIABLE, raising=False)
    return SessionStore(tmp_path)


def test_list_tells_what_each_session_holds_and_what_is_wrong(
    cli: CliRunner, store: SessionStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    store.save("dock", content())
    (tmp_path / "broken.session").write_bytes(b"\x1b[2Jjunk")
    result = cli.invoke(main, ["sessions", "list"])
    header, broken, dock = result.stdout.splitlines()
    assert header.split() == ["session", "model", "KV", "tokens", "messages", "size", "saved"]
    assert " ".join(broken.split()) == "broken 8 bytes it ends at byte 8, within its content"
    assert " ".join(dock.split()).startswith(f"dock fake f16 69 2 {decimal(SIZE)} 20")
    assert result.stderr == f"2 sessions, {decimal(SIZE + 8)} of 4.3 GB, in {tmp_path}\n"


def test_list_as_json_has_every_field(cli: CliRunner, store: SessionStore, tmp_path: Path) -> None:
    store.save("dock", content())
    (tmp_path / "broken.session").write_bytes(b"junk")
    assert json.loads(cli.invoke(main, ["sessions", "list", "--json"]).stdout) == {
        "directory": str(tmp_path),
        "bytes": SIZE + 4,
        "max_bytes": 4 << 30,
        "sessions": [
            {
                "name": "broken",
                "bytes": 4,
                "problem": "it ends at byte 4, within its content",
                "model": None,
                "backend": None,
                "kv_type": None,
                "tokens": None,
                "messages": None,
                "saved_s": None,
            },
            {
                "name": "dock",
                "bytes": SIZE,
                "problem": None,
                "model": "fake",
                "backend": "fake",
                "kv_type": "f16",
                "tokens": 69,
                "messages": 2,
                "saved_s": 1_800_000_000,
            },
        ],
    }


def test_list_of_nothing_says_where_nothing_is(cli: CliRunner, store: SessionStore, tmp_path: Path) -> None:
    result = cli.invoke(main, ["sessions", "list"])
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == f"0 sessions, 0 bytes of 4.3 GB, in {tmp_path}\n"


def test_delete_takes_several_names(cli: CliRunner, store: SessionStore) -> None:
    for name in ("a", "b", "c"):
        store.save(name, content())
    assert cli.invoke(main, ["sessions", "delete", "a", "c"]).stderr == "a is deleted.\nc is deleted.\n"
    assert [entry.name for entry in store.entries()] == ["b"]


def test_delete_of_what_is_not_there_is_one_line(cli: CliRunner, store: SessionStore, tmp_path: Path) -> None:
    result = cli.invoke(main, ["sessions", "delete", "a"])
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error [session_not_found]: There is no session 'a' in {tmp_path}. "
        "`bonsai-edge sessions list` shows the names.\n"
    )


def test_fork_gives_a_second_name(cli: CliRunner, store: SessionStore, tmp_path: Path) -> None:
    store.save("dock", content())
    assert cli.invoke(main, ["sessions", "fork", "dock", "kitchen"]).stderr == "kitchen begins as dock is now.\n"
    assert is_whole(proven(tmp_path / "kitchen.session"), content())
    assert "[session_exists]" in cli.invoke(main, ["sessions", "fork", "dock", "kitchen"]).stderr


def test_the_environment_sets_the_bound(cli: CliRunner, store: SessionStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(MAX_SIZE_VARIABLE, "1.5GiB")
    assert json.loads(cli.invoke(main, ["sessions", "list", "--json"]).stdout)["max_bytes"] == 3 << 29
    monkeypatch.setenv(MAX_SIZE_VARIABLE, "much")
    assert "Error [invalid_request]: 'much' is not an amount" in cli.invoke(main, ["sessions", "list"]).stderr
