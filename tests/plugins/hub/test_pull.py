"""`bonsai-edge pull` against a hub on this machine."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main
from bonsai_edge_hub.catalogue import HubFile

FakeHub = Any


@pytest.fixture
def offered(hub: FakeHub, tiny: HubFile, content: bytes) -> FakeHub:
    """The hub with the file `tiny`."""
    hub.files["org/repo/Tiny.gguf"] = content
    return hub


def test_a_model_is_fetched_checked_and_named(
    cli: CliRunner, offered: FakeHub, tiny: HubFile, content: bytes, store: Path
) -> None:
    result = cli.invoke(main, ["pull", "tiny"])
    assert (result.exit_code, result.stdout) == (0, f"Fetched and verified: {store}/tiny.gguf\n")
    assert (store / "tiny.gguf").read_bytes() == content
    assert (store / "tiny.gguf.sha256").read_text() == f"{tiny.digests[0]}  tiny.gguf\n"
    assert sorted(path.name for path in store.iterdir()) == ["tiny.gguf", "tiny.gguf.sha256"]


def test_the_revision_of_the_catalogue_is_asked_for(cli: CliRunner, offered: FakeHub, tiny: HubFile) -> None:
    cli.invoke(main, ["pull", "tiny"])
    assert {path for _, path, _ in offered.requests} == {f"/org/repo/resolve/{tiny.revision}/Tiny.gguf"}


def test_json_says_what_was_done(cli: CliRunner, offered: FakeHub, tiny: HubFile, content: bytes, store: Path) -> None:
    report = {
        "name": "tiny",
        "path": f"{store}/tiny.gguf",
        "bytes": len(content),
        "sha256": tiny.digests[0],
        "verified": True,
    }
    assert json.loads(cli.invoke(main, ["pull", "tiny", "--json"]).stdout) == report | {"downloaded": True}
    assert json.loads(cli.invoke(main, ["pull", "tiny", "--json"]).stdout) == report | {"downloaded": False}


def test_the_token_is_sent(cli: CliRunner, offered: FakeHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    cli.invoke(main, ["pull", "tiny"])
    assert {headers["authorization"] for _, _, headers in offered.requests} == {"Bearer hf_secret"}


def test_the_token_stays_with_the_hub_when_the_content_is_elsewhere(
    cli: CliRunner, offered: FakeHub, content: bytes, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    offered.cdn = offered.endpoint.replace("127.0.0.1", "localhost")
    assert cli.invoke(main, ["pull", "tiny"]).exit_code == 0
    assert (store / "tiny.gguf").read_bytes() == content
    (from_cdn,) = [headers for _, path, headers in offered.requests if path.startswith("/cdn/")]
    assert "authorization" not in from_cdn


def test_a_model_that_is_there_is_not_fetched_again_unless_forced(
    cli: CliRunner, offered: FakeHub, store: Path
) -> None:
    cli.invoke(main, ["pull", "tiny"])
    assert cli.invoke(main, ["pull", "tiny"]).stdout == f"Already there, verified: {store}/tiny.gguf\n"
    assert len(offered.ranges()) == 1
    assert cli.invoke(main, ["pull", "tiny", "--force"]).stdout == f"Fetched and verified: {store}/tiny.gguf\n"
    assert len(offered.ranges()) == 2


def test_a_dropped_connection_is_resumed_in_the_same_run(
    cli: CliRunner, offered: FakeHub, content: bytes, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offered.break_after = 3 * 1000

    def restore(seconds: float) -> None:
        offered.break_after = None

    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", restore)
    assert cli.invoke(main, ["pull", "tiny"]).exit_code == 0
    assert offered.ranges() == [None, "bytes=3000-"]
    assert (store / "tiny.gguf").read_bytes() == content


def test_a_broken_download_is_resumed_by_the_next_run(
    cli: CliRunner, offered: FakeHub, tiny: HubFile, content: bytes, store: Path
) -> None:
    offered.break_after = 4 * 1000
    broken = cli.invoke(main, ["pull", "tiny"])
    assert broken.exit_code == 1
    assert broken.stderr.splitlines()[-1].startswith(f"Error [download_failed]: Fetching tiny to {store} failed: ")
    assert broken.stderr.endswith(
        "Check network and disk, then run the same command again: it continues where it stopped.\n"
    )
    assert [path.name for path in store.iterdir()] == [f"tiny.gguf.{tiny.digests[0][:16]}.partial"]

    offered.break_after = None
    offered.requests.clear()
    assert cli.invoke(main, ["pull", "tiny"]).exit_code == 0
    assert offered.ranges() == ["bytes=4000-"]
    assert (store / "tiny.gguf").read_bytes() == content


def test_a_partial_file_that_is_too_long_is_begun_anew(
    cli: CliRunner, offered: FakeHub, tiny: HubFile, content: bytes, store: Path
) -> None:
    store.mkdir()
    (store / f"tiny.gguf.{tiny.digests[0][:16]}.partial").write_bytes(content + b"more")
    assert cli.invoke(main, ["pull", "tiny"]).exit_code == 0
    assert offered.ranges() == [None]
    assert (store / "tiny.gguf").read_bytes() == content


def test_content_of_another_digest_is_refused_and_removed(
    cli: CliRunner, offered: FakeHub, tiny: HubFile, content: bytes, store: Path
) -> None:
    offered.served = content[::-1]
    result = cli.invoke(main, ["pull", "tiny"])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error [digest_mismatch]: What was fetched as tiny has the SHA-256 "
        f"{hashlib.sha256(content[::-1]).hexdigest()}, expected was {tiny.digests[0]}; it was removed. "
        "Fetch it again; if it happens again, something between here and the hub changes it."
    )
    assert list(store.iterdir()) == []


def test_a_hub_that_states_another_digest_is_refused_before_the_download(
    cli: CliRunner, offered: FakeHub, tiny: HubFile
) -> None:
    offered.etag = "f" * 64
    result = cli.invoke(main, ["pull", "tiny"])
    assert result.stderr == (
        f"Error [digest_mismatch]: {offered.endpoint} offers tiny with the SHA-256 {'f' * 64}, expected is "
        f"{tiny.digests[0]}. Check HF_ENDPOINT, or update bonsai-edge.\n"
    )
    assert offered.ranges() == []


def test_a_hub_that_states_no_digest_is_checked_against_the_catalogue(
    cli: CliRunner, offered: FakeHub, content: bytes
) -> None:
    offered.etag = "a" * 40
    assert cli.invoke(main, ["pull", "tiny"]).exit_code == 0
    offered.served = content[::-1]
    assert "digest_mismatch" in cli.invoke(main, ["pull", "tiny", "--force"]).stderr


def test_a_failed_check_leaves_the_old_file_alone(
    cli: CliRunner, offered: FakeHub, content: bytes, store: Path
) -> None:
    cli.invoke(main, ["pull", "tiny"])
    offered.served = content[::-1]
    assert cli.invoke(main, ["pull", "tiny", "--force"]).exit_code == 1
    assert (store / "tiny.gguf").read_bytes() == content


def test_too_little_disk_space_is_refused_with_numbers(
    cli: CliRunner, offered: FakeHub, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10_239))
    result = cli.invoke(main, ["pull", "tiny"])
    assert result.stderr == (
        f"Error [insufficient_disk]: tiny needs 10,240 more bytes in {store}, 10,239 are free. "
        "Free some space, or set BONSAI_EDGE_MODELS to a directory on another disk.\n"
    )
    assert offered.ranges() == []
    assert list(store.iterdir()) == []


def test_what_has_arrived_needs_no_space(
    cli: CliRunner, offered: FakeHub, tiny: HubFile, content: bytes, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.mkdir()
    (store / f"tiny.gguf.{tiny.digests[0][:16]}.partial").write_bytes(content[:10_000])
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=240))
    assert cli.invoke(main, ["pull", "tiny"]).exit_code == 0


def test_a_second_process_does_not_write_into_the_same_file(
    cli: CliRunner, offered: FakeHub, tiny: HubFile, store: Path
) -> None:
    store.mkdir()
    with (store / f"tiny.gguf.{tiny.digests[0][:16]}.partial").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        result = cli.invoke(main, ["pull", "tiny"])
    assert result.stderr == (
        "Error [download_in_progress]: Another process is fetching tiny. "
        "Wait for it, or end it and run the command again.\n"
    )


def test_without_the_hub_library_the_extra_is_named(cli: CliRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pull_command", "download"):
        monkeypatch.delitem(sys.modules, f"bonsai_edge_hub.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert cli.invoke(main, ["pull", "tiny"]).stderr == (
        "Error [missing_library]: `bonsai-edge pull` needs huggingface_hub, which is not installed. "
        "Run: pip install 'bonsai-edge[hub]'\n"
    )


@pytest.mark.parametrize("how", ["option", "environment"])
def test_offline_asks_nobody(
    cli: CliRunner, offered: FakeHub, store: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how == "environment":
        monkeypatch.setenv("BONSAI_EDGE_OFFLINE", "1")
    result = cli.invoke(main, ["pull", "tiny", *(["--offline"] if how == "option" else [])])
    assert result.exit_code == 1
    assert result.stderr == (
        "Error [offline]: tiny is not fetched, because the network may not be used. "
        f"Run it without --offline and BONSAI_EDGE_OFFLINE, or copy the file to {store}/tiny.gguf.\n"
    )
    assert offered.requests == []


def test_offline_is_content_with_a_model_that_is_there(
    cli: CliRunner, offered: FakeHub, content: bytes, store: Path
) -> None:
    store.mkdir()
    (store / "tiny.gguf").write_bytes(content)
    result = cli.invoke(main, ["pull", "tiny", "--offline"])
    assert (result.exit_code, result.stdout) == (0, f"Already there, verified: {store}/tiny.gguf\n")
    assert (store / "tiny.gguf.sha256").exists()
    assert offered.requests == []


def test_a_file_that_is_there_and_is_another_is_refused(cli: CliRunner, tiny: HubFile, store: Path) -> None:
    store.mkdir()
    (store / "tiny.gguf").write_bytes(b"GGUF")
    result = cli.invoke(main, ["pull", "tiny"])
    assert result.exit_code == 1
    assert result.stderr.splitlines()[-1] == (
        f"Error [digest_mismatch]: {store}/tiny.gguf has the SHA-256 {hashlib.sha256(b'GGUF').hexdigest()}, the "
        f"published tiny has {tiny.digests[0]}. Replace it with `bonsai-edge pull tiny --force`."
    )


def test_any_file_of_the_hub_is_fetched_and_checked_against_what_the_hub_states(
    cli: CliRunner, offered: FakeHub, content: bytes, store: Path
) -> None:
    offered.files["me/robots/q1/Mine.gguf"] = content
    assert cli.invoke(main, ["pull", "me/robots/q1/Mine.gguf"]).exit_code == 0
    assert (store / "me/robots/q1/Mine.gguf").read_bytes() == content
    again = cli.invoke(main, ["pull", "me/robots/q1/Mine.gguf"])
    assert again.stdout == f"Already there, verified: {store}/me/robots/q1/Mine.gguf\n"


def test_a_file_without_a_stated_digest_is_refused(cli: CliRunner, offered: FakeHub, content: bytes) -> None:
    offered.files["me/robots/Mine.gguf"] = content
    offered.etag = "a" * 40
    assert cli.invoke(main, ["pull", "me/robots/Mine.gguf"]).stderr == (
        f"Error [digest_mismatch]: {offered.endpoint} states no SHA-256 for me/robots/Mine.gguf, so it could not be "
        "checked. Fetch it by other means, and give its path.\n"
    )
    assert offered.ranges() == []


def test_a_copied_file_of_unknown_digest_is_there_but_not_verified(cli: CliRunner, hub: FakeHub, store: Path) -> None:
    (store / "me/robots").mkdir(parents=True)
    (store / "me/robots/Mine.gguf").write_bytes(b"GGUF")
    report = json.loads(cli.invoke(main, ["pull", "me/robots/Mine.gguf", "--json"]).stdout)
    assert (report["verified"], report["sha256"]) == (False, None)
    assert hub.requests == []


def test_a_file_that_the_hub_does_not_have_is_refused(cli: CliRunner, hub: FakeHub) -> None:
    result = cli.invoke(main, ["pull", "me/robots/Absent.gguf"])
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error [download_failed]: {hub.endpoint} does not show me/robots/Absent.gguf at revision main. "
        "Check the name; a private or gated repository needs HF_TOKEN.\n"
    )


def test_a_hub_that_nobody_answers_for_is_one_line(
    cli: CliRunner, tiny: HubFile, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # the discard port: nothing listens
    result = cli.invoke(main, ["pull", "tiny"])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error [download_failed]: Fetching tiny to {store} failed: ")


@pytest.mark.parametrize(
    "name", ["bonsai-17b", "org/file.gguf", "org/repo/file.bin", "org/../file.gguf", "a/b/../c.gguf"]
)
def test_a_name_of_nothing_is_refused(cli: CliRunner, name: str) -> None:
    result = cli.invoke(main, ["pull", name])
    assert result.exit_code == 1
    assert result.stderr == (
        f"Error [unknown_model]: There is no published model {name!r}. "
        "Give one of bonsai-1.7b, bonsai-4b, bonsai-8b, or a file as org/repo/file.gguf.\n"
    )
