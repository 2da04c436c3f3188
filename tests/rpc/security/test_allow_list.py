from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from bonsai_edge.errors import KeyFileError
from bonsai_edge.rpc.security.allow_list import (
    AllowedKey,
    AllowList,
    allow,
    allow_list_path,
    read_allow_list,
    revoke,
)
from bonsai_edge.rpc.security.allow_list_watch import AllowListWatch
from bonsai_edge.rpc.security.roles import Role

ARM = AllowedKey(name="arm", key="a" * 40)
DESK = AllowedKey(name="desk", key="d" * 40, role=Role.CONTROL, max_requests=2)


def keys_in(directory: Path) -> tuple[AllowedKey, ...]:
    return read_allow_list(allow_list_path(directory)).keys


def test_keys_are_added_changed_and_removed(tmp_path: Path) -> None:
    allow(tmp_path, ARM)
    allow(tmp_path, DESK)
    assert keys_in(tmp_path) == (ARM, DESK)
    promoted = AllowedKey(name="arm", key="a" * 40, role=Role.ADMIN)
    allow(tmp_path, promoted)
    assert keys_in(tmp_path) == (DESK, promoted)
    revoke(tmp_path, "desk")
    revoke(tmp_path, "arm")
    assert keys_in(tmp_path) == ()


def test_file_is_for_this_user_and_for_readers(tmp_path: Path) -> None:
    allow(tmp_path, DESK)
    path = allow_list_path(tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text()) == {
        "version": 1,
        "keys": [{"name": "desk", "key": "d" * 40, "role": "control", "max_requests": 2}],
    }


def test_name_and_key_belong_together(tmp_path: Path) -> None:
    allow(tmp_path, ARM)
    with pytest.raises(KeyFileError) as caught:
        allow(tmp_path, AllowedKey(name="arm", key="b" * 40))
    assert str(caught.value) == (
        "The name 'arm' is taken by another key. Revoke it first with `bonsai-edge keys revoke arm`."
    )
    with pytest.raises(KeyFileError, match="This key is allowed under the name 'arm'"):
        allow(tmp_path, AllowedKey(name="leg", key="a" * 40))
    assert keys_in(tmp_path) == (ARM,)


def test_unknown_name_is_not_revoked(tmp_path: Path) -> None:
    allow(tmp_path, ARM)
    with pytest.raises(KeyFileError, match=r"No key is allowed under the name 'leg'\. Those that are: arm\."):
        revoke(tmp_path, "leg")


def test_missing_list_and_directory_are_told(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match="so that no client is allowed"):
        revoke(tmp_path, "arm")
    with pytest.raises(KeyFileError, match="cannot be changed: No such file or directory"):
        allow(tmp_path / "none", ARM)


def test_list_that_others_can_change_is_not_believed(tmp_path: Path) -> None:
    allow(tmp_path, ARM)
    allow_list_path(tmp_path).chmod(0o664)
    with pytest.raises(KeyFileError, match="can be changed by other users"):
        keys_in(tmp_path)


ENTRY: dict[str, Any] = {"name": "arm", "key": "a" * 40, "role": "generate", "max_requests": 1}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "Input data was truncated"),
        ("[]", "Expected `object`, got `array`"),
        ({"version": 2, "keys": []}, r"Invalid enum value 2 - at `\$.version`"),
        ({"version": 1, "keys": [], "allow_all": True}, "unknown field `allow_all`"),
        ({"version": 1, "keys": [ENTRY | {"role": "root"}]}, "Invalid enum value 'root'"),
        ({"version": 1, "keys": [ENTRY | {"roll": "admin"}]}, "unknown field `roll`"),
        ({"version": 1, "keys": [ENTRY | {"max_requests": 0}]}, "Expected `int` >= 1"),
        ({"version": 1, "keys": [ENTRY | {"name": "../x"}]}, "matching regex"),
        ({"version": 1, "keys": [ENTRY | {"key": "a" * 39}]}, "length >= 40"),
        ({"version": 1, "keys": [ENTRY | {"key": "#" * 40}]}, "The key of 'arm' in .* is not a key"),
        ({"version": 1, "keys": [ENTRY, ENTRY]}, "has 'arm' more than once"),
        ({"version": 1, "keys": [ENTRY, ENTRY | {"name": "leg"}]}, "has 'aaaa.*' more than once"),
    ],
)
def test_list_that_is_not_understood_is_refused_whole(tmp_path: Path, content: object, problem: str) -> None:
    path = tmp_path / "allowed.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    path.chmod(0o600)
    with pytest.raises(KeyFileError, match=problem):
        read_allow_list(path)


def test_only_exact_keys_are_found() -> None:
    listed = AllowList((ARM, DESK))
    assert listed.find("d" * 40) == DESK
    assert listed.find("D" * 40) is listed.find("") is listed.find("arm") is None


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    entries = [AllowedKey(name=f"client-{index}", key=f"{index:05d}" * 8) for index in range(8)]
    threads = [threading.Thread(target=allow, args=(tmp_path, entry)) for entry in entries]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(keys_in(tmp_path), key=lambda each: each.name) == entries


def test_watch_follows_the_file_and_tells_who_is_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    allow(tmp_path, ARM)
    gone: list[frozenset[str]] = []
    path = allow_list_path(tmp_path)
    watch = AllowListWatch(path, gone.append)
    allow(tmp_path, DESK)
    assert watch.current.keys == (ARM,)
    watch.refresh()
    assert watch.current.keys == (ARM, DESK)
    revoke(tmp_path, "arm")
    watch.refresh()
    watch.refresh()
    assert (watch.current.keys, gone) == ((DESK,), [frozenset({ARM.key})])
    path.unlink()
    watch.refresh()
    assert (watch.current.keys, gone[1:]) == ((), [frozenset({DESK.key})])
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    allow(tmp_path, DESK)
    watch.refresh()
    assert watch.current.keys == (DESK,)


def test_key_whose_role_changes_is_not_gone(tmp_path: Path) -> None:
    allow(tmp_path, ARM)
    gone: list[frozenset[str]] = []
    watch = AllowListWatch(allow_list_path(tmp_path), gone.append)
    allow(tmp_path, AllowedKey(name="arm", key=ARM.key, role=Role.CONTROL))
    watch.refresh()
    found = watch.current.find(ARM.key)
    assert found is not None
    assert (found.role, gone) == (Role.CONTROL, [])
