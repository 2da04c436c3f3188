"""A directory of sessions: names, bounds, forks, and who may read it."""

from __future__ import annotations

import errno
import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bonsai_edge.errors import (
    InvalidRequestError,
    SessionExistsError,
    SessionForeignError,
    SessionNotFoundError,
    SessionStorageError,
    SessionTooLargeError,
)
from bonsai_edge.sessions import directory_lock, store
from bonsai_edge.sessions.directory_lock import locked
from bonsai_edge.sessions.file_format import EncodedSession, SessionReader
from bonsai_edge.sessions.opening import Miss
from bonsai_edge.sessions.store import SESSIONS_VARIABLE, SavedSession, SessionStore, sessions_directory
from session_content import FINGERPRINT, PAGE_BYTES, content, encode, is_whole, proven

SIZE = len(encode(content()))


def names(sessions: SessionStore) -> list[str]:
    return [entry.name for entry in sessions.entries()]


def restore(sessions: SessionStore, name: str) -> SessionReader:
    opened = sessions.open(name)
    assert isinstance(opened, SessionReader)
    opened.close()
    return opened


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now_s = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_saved_session_is_read_again_by_another_store(tmp_path: Path) -> None:
    saved = SessionStore(tmp_path).save("dock", content())
    assert saved == SavedSession("dock", 69, SIZE)
    opened = SessionStore(tmp_path).open("dock")
    assert isinstance(opened, SessionReader)
    assert opened.read_messages() == tuple(content().messages)
    assert opened.read_token_ids() == tuple(content().token_ids)
    assert [page.tobytes() for page in opened.pages()] == [page.tobytes() for page in content().pages]
    opened.close()


def test_saving_again_replaces_the_session(tmp_path: Path) -> None:
    sessions = SessionStore(tmp_path)
    sessions.save("dock", content(1))
    sessions.save("dock", content(2, num_tokens=3))
    assert is_whole(proven(tmp_path / "dock.session"), content(2, num_tokens=3))
    assert names(sessions) == ["dock"]


@pytest.mark.parametrize("name", ["a", "0", "robot-7_b.c", "a" * 64])
def test_names_that_may_be_used(name: str, tmp_path: Path) -> None:
    sessions = SessionStore(tmp_path)
    sessions.save(name, content())
    assert names(sessions) == [name]
    assert is_whole(proven(tmp_path / f"{name}.session"), content())


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../a", "a/b", "/a", ".lock", "-a", "A", "ä", "a b", "a\n", "a\0", "a" * 65]
)
def test_what_could_be_a_path_or_be_mistaken_is_no_name(name: str, tmp_path: Path) -> None:
    sessions = SessionStore(tmp_path / "sessions")
    for use in (
        lambda: sessions.save(name, content()),
        lambda: sessions.open(name),
        lambda: sessions.delete(name),
        lambda: sessions.fork("dock", name),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            use()
        assert caught.value.cause == f"{name[:80]!r} is no name for a session."
    assert list(tmp_path.rglob("*.session")) == []


def test_only_this_user_may_read_sessions(tmp_path: Path) -> None:
    sessions = SessionStore(tmp_path / "data" / "sessions", write_budget_bytes_per_day=1 << 30)
    sessions.save("dock", content())
    assert stat.S_IMODE(sessions.directory.stat().st_mode) == 0o700
    files = list(sessions.directory.iterdir())
    assert len(files) == 3
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_a_session_that_is_not_there_is_a_miss(tmp_path: Path) -> None:
    assert SessionStore(tmp_path).open("dock") == Miss("absent", "there is none of that name")
    assert SessionStore(tmp_path / "absent").open("dock") == Miss("absent", "there is none of that name")
    assert SessionStore(tmp_path / "absent").entries() == []


def test_what_is_no_regular_file_is_a_miss(tmp_path: Path) -> None:
    """A pipe must not make the reader wait for a writer."""
    os.mkfifo(tmp_path / "pipe.session")
    (tmp_path / "folder.session").mkdir()
    (tmp_path / "link.session").symlink_to("/etc/hostname")
    sessions = SessionStore(tmp_path)
    assert sessions.open("pipe") == Miss("damaged", "it is no regular file")
    assert sessions.open("folder") == Miss("damaged", "it is no regular file")
    link = sessions.open("link")
    assert isinstance(link, Miss)
    assert link.reason.startswith("it cannot be opened: ")
    assert sessions.entries() == []


def test_damaged_and_newer_files_are_listed_with_the_reason(tmp_path: Path) -> None:
    sessions = SessionStore(tmp_path)
    sessions.save("whole", content())
    (tmp_path / "cut.session").write_bytes(encode(content())[:-1])
    (tmp_path / "junk.session").write_bytes(b"junk" * 100)
    assert [(entry.name, entry.problem) for entry in sessions.entries()] == [
        ("cut", f"it has {SIZE - 1} bytes, written were {SIZE}"),
        ("junk", "it does not begin as a session file does"),
        ("whole", None),
    ]


def test_a_deleted_session_is_gone(tmp_path: Path) -> None:
    sessions = SessionStore(tmp_path)
    sessions.save("dock", content())
    sessions.delete("dock")
    assert sessions.open("dock") == Miss("absent", "there is none of that name")
    with pytest.raises(SessionNotFoundError) as caught:
        sessions.delete("dock")
    assert caught.value.cause == f"There is no session 'dock' in {tmp_path}."


class TestFork:
    def test_shares_bytes_and_lives_on_its_own(self, tmp_path: Path) -> None:
        sessions = SessionStore(tmp_path)
        sessions.save("dock", content(1))
        sessions.fork("dock", "kitchen")
        assert sessions.total_bytes() == SIZE
        sessions.save("dock", content(2))
        assert is_whole(proven(tmp_path / "kitchen.session"), content(1))
        sessions.delete("dock")
        assert names(sessions) == ["kitchen"]

    def test_copies_where_the_file_system_has_no_links(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def no_links(*paths: Path) -> None:
            raise OSError(errno.EPERM, os.strerror(errno.EPERM))

        monkeypatch.setattr(os, "link", no_links)
        sessions = SessionStore(tmp_path)
        sessions.save("dock", content())
        sessions.fork("dock", "kitchen")
        assert sessions.total_bytes() == 2 * SIZE
        assert is_whole(proven(tmp_path / "kitchen.session"), content())

    def test_does_not_replace_a_session(self, tmp_path: Path) -> None:
        sessions = SessionStore(tmp_path)
        sessions.save("dock", content(1))
        sessions.save("kitchen", content(2))
        with pytest.raises(SessionExistsError, match=r"^There is a session 'kitchen' already\."):
            sessions.fork("dock", "kitchen")
        assert is_whole(proven(tmp_path / "kitchen.session"), content(2))

    def test_of_nothing_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(SessionNotFoundError, match=r"^There is no session 'dock' in "):
            SessionStore(tmp_path).fork("dock", "kitchen")


class TestBound:
    def test_the_longest_unused_sessions_are_deleted_first(self, tmp_path: Path) -> None:
        clock = Clock()
        sessions = SessionStore(tmp_path, max_bytes=3 * SIZE, clock=clock)
        for name in ("a", "b", "c"):
            clock.now_s += 1
            sessions.save(name, content())
        clock.now_s += 1
        restore(sessions, "a")
        clock.now_s += 1
        sessions.save("d", content())
        assert names(sessions) == ["a", "c", "d"]

    def test_the_order_of_use_survives_a_clock_that_is_set_back(self, tmp_path: Path) -> None:
        clock = Clock()
        sessions = SessionStore(tmp_path, max_bytes=2 * SIZE, clock=clock)
        for name in ("a", "b", "c"):
            sessions.save(name, content())
            clock.now_s -= 1e8
        assert names(sessions) == ["b", "c"]
        restore(sessions, "b")
        sessions.save("d", content())
        assert names(sessions) == ["b", "d"]

    def test_listing_is_no_use(self, tmp_path: Path) -> None:
        clock = Clock()
        sessions = SessionStore(tmp_path, max_bytes=2 * SIZE, clock=clock)
        sessions.save("a", content())
        sessions.save("b", content())
        clock.now_s += 1e6
        sessions.entries()
        sessions.save("c", content())
        assert names(sessions) == ["b", "c"]

    def test_a_session_larger_than_the_bound_is_refused_with_both_numbers(self, tmp_path: Path) -> None:
        sessions = SessionStore(tmp_path, max_bytes=SIZE)
        sessions.save("a", content(1))
        with pytest.raises(SessionTooLargeError) as caught:
            sessions.save("a", content(2, num_tokens=4 * 32))
        larger = EncodedSession(content(2, num_tokens=4 * 32)).num_bytes
        assert caught.value.cause == (f"The session 'a' has {larger} bytes; all sessions together may have {SIZE}.")
        assert is_whole(proven(tmp_path / "a.session"), content(1))

    def test_the_session_being_written_stays(self, tmp_path: Path) -> None:
        sessions = SessionStore(tmp_path, max_bytes=SIZE)
        sessions.save("a", content(1))
        sessions.save("b", content(2))
        assert names(sessions) == ["b"]

    def test_both_names_of_a_fork_go_when_their_bytes_must(self, tmp_path: Path) -> None:
        sessions = SessionStore(tmp_path, max_bytes=2 * SIZE)
        sessions.save("a", content())
        sessions.fork("a", "b")
        sessions.save("c", content())
        assert names(sessions) == ["a", "b", "c"]
        sessions.save("d", content())
        assert names(sessions) == ["c", "d"]

    def test_nothing_is_deleted_for_a_save_that_fails(self, tmp_path: Path) -> None:
        sessions = SessionStore(tmp_path, max_bytes=2 * SIZE)
        sessions.save("a", content())
        sessions.save("b", content())

        def failing() -> Any:
            yield next(iter(content().pages))
            raise OSError(errno.EIO, "Input/output error")

        with pytest.raises(SessionStorageError, match="Input/output error"):
            sessions.save("c", content(pages=failing()))
        assert names(sessions) == ["a", "b"]


def test_a_disk_without_room_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sessions = SessionStore(tmp_path)
    sessions.save("dock", content(1))
    usage = os.statvfs(tmp_path)
    assert usage.f_blocks > 0
    monkeypatch.setattr(store.shutil, "disk_usage", lambda path: type("Usage", (), {"free": SIZE - 1}))
    monkeypatch.setattr(store, "write_atomically", None)
    with pytest.raises(SessionStorageError) as caught:
        sessions.save("dock", content(2))
    assert caught.value.cause == f"The session 'dock' has {SIZE} bytes; {tmp_path} has {SIZE - 1} free."
    assert is_whole(proven(tmp_path / "dock.session"), content(1))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"model": "n" * 64}, "it belongs to another model"),
        ({"tokenizer": "n" * 64}, "it was made with another tokenizer"),
    ],
)
def test_the_session_of_another_model_is_not_replaced_unless_asked(
    change: dict[str, str], reason: str, tmp_path: Path
) -> None:
    sessions = SessionStore(tmp_path)
    sessions.save("dock", content(1))
    ours = content(2, fingerprint=msgspec.structs.replace(FINGERPRINT, **change))
    with pytest.raises(SessionForeignError) as caught:
        sessions.save("dock", ours)
    assert caught.value.cause == f"The session 'dock' is kept and not replaced: {reason}."
    assert is_whole(proven(tmp_path / "dock.session"), content(1))
    sessions.save("dock", ours, replace_foreign=True)
    assert is_whole(proven(tmp_path / "dock.session"), ours)


@pytest.mark.parametrize("change", [{"kv_type": "q8"}, {"backend": "other"}, {"page_layout": "2"}])
def test_a_session_whose_pages_only_are_of_another_kind_is_replaced(change: dict[str, str], tmp_path: Path) -> None:
    sessions = SessionStore(tmp_path)
    sessions.save("dock", content(1))
    ours = content(2, fingerprint=msgspec.structs.replace(FINGERPRINT, **change))
    sessions.save("dock", ours)
    assert is_whole(proven(tmp_path / "dock.session"), ours)


def test_a_damaged_session_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "dock.session").write_bytes(b"junk")
    SessionStore(tmp_path).save("dock", content())
    assert is_whole(proven(tmp_path / "dock.session"), content())


def test_a_reader_keeps_the_session_it_opened_while_it_is_replaced(tmp_path: Path) -> None:
    sessions = SessionStore(tmp_path)
    sessions.save("dock", content(1))
    opened = sessions.open("dock")
    assert isinstance(opened, SessionReader)
    sessions.save("dock", content(2))
    opened.read_messages()
    assert opened.read_token_ids() == tuple(content(1).token_ids)
    assert len(list(opened.pages())) == 3
    opened.close()


def test_saves_from_several_threads_are_all_whole(tmp_path: Path) -> None:
    def save(seed: int) -> None:
        SessionStore(tmp_path).save(f"session-{seed % 3}", content(seed))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(save, range(12), timeout=60))
    assert names(SessionStore(tmp_path)) == ["session-0", "session-1", "session-2"]
    for number in range(3):
        found = proven(tmp_path / f"session-{number}.session")
        assert any(is_whole(found, content(seed)) for seed in range(number, 12, 3))


def test_a_lock_that_is_never_given_back_is_an_error_and_not_a_wait_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(directory_lock, "_LONGEST_WAIT_S", 0.0)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with locked(tmp_path):
            held.set()
            done.wait(60)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        assert held.wait(60)
        try:
            with pytest.raises(SessionStorageError, match=r"^Another process has held .*/\.lock for 0 s\. "):
                SessionStore(tmp_path).save("dock", content())
        finally:
            done.set()
    SessionStore(tmp_path).save("dock", content())
    assert names(SessionStore(tmp_path)) == ["dock"]


def test_a_directory_that_is_a_file_is_an_error_of_ours(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    sessions = SessionStore(tmp_path / "file")
    with pytest.raises(SessionStorageError, match="cannot be changed: File exists"):
        sessions.save("dock", content())
    with pytest.raises(SessionStorageError, match="cannot be listed: Not a directory"):
        sessions.entries()
    opened = sessions.open("dock")
    assert isinstance(opened, Miss)
    assert opened.kind == "damaged"


def test_the_environment_names_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SESSIONS_VARIABLE, str(tmp_path / "there"))
    assert SessionStore().directory == tmp_path / "there"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(SESSIONS_VARIABLE, "~/here")
    assert sessions_directory() == tmp_path / "here"
    monkeypatch.delenv(SESSIONS_VARIABLE)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert sessions_directory().parts[-2:] == ("bonsai-edge", "sessions")


def test_pages_are_not_copied_to_be_written() -> None:
    (page,) = content(num_tokens=1).pages
    chunks = list(EncodedSession(content(num_tokens=1, pages=[page])).chunks())
    assert any(isinstance(chunk, memoryview) and chunk.obj is page for chunk in chunks)
    assert page.nbytes == PAGE_BYTES
