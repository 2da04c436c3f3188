"""`bonsai-edge models`: what is there and what can be fetched."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from bonsai_edge.cli import main
from bonsai_edge_hub.catalogue import HubFile
from bonsai_edge_hub.digests import note_digest, noted_digest


def list_models(cli: CliRunner) -> dict[str, dict[str, object]]:
    """Return what `models --json` lists as there, by name."""
    return {model["name"]: model for model in json.loads(cli.invoke(main, ["models", "--json"]).stdout)["models"]}


def test_without_a_directory_there_is_the_embedded_model_and_all_can_be_fetched(cli: CliRunner, store: Path) -> None:
    report = json.loads(cli.invoke(main, ["models", "--json"]).stdout)
    assert report["directory"] == str(store)
    assert [model["name"] for model in report["models"]] == ["seedling"]
    assert report["available"] == [
        {
            "name": "bonsai-1.7b",
            "repository": "prism-ml/Bonsai-1.7B-gguf",
            "file": "Bonsai-1.7B-Q1_0.gguf",
            "bytes": 248_302_272,
        },
        {
            "name": "bonsai-4b",
            "repository": "prism-ml/Bonsai-4B-gguf",
            "file": "Bonsai-4B-Q1_0.gguf",
            "bytes": 572_270_624,
        },
        {
            "name": "bonsai-8b",
            "repository": "prism-ml/Bonsai-8B-gguf",
            "file": "Bonsai-8B-Q1_0.gguf",
            "bytes": 1_158_654_496,
        },
    ]
    assert not store.exists()


def test_a_stored_model_is_listed_and_no_longer_available(cli: CliRunner, tiny: HubFile, store: Path) -> None:
    store.mkdir()
    (store / "tiny.gguf").write_bytes(b"GGUF")
    note_digest(store / "tiny.gguf", tiny.digests[0])
    report = json.loads(cli.invoke(main, ["models", "--json"]).stdout)
    assert report["available"] == []
    assert report["models"][1] == {
        "name": "tiny",
        "path": f"{store}/tiny.gguf",
        "bytes": 4,
        "sha256": tiny.digests[0],
        "verified": True,
    }


def test_models_fetched_from_any_repository_have_their_full_name(cli: CliRunner, store: Path) -> None:
    (store / "me/robots").mkdir(parents=True)
    (store / "me/robots/Mine.gguf").touch()
    (store / "Copied.gguf").touch()
    (store / "Broken.gguf.0123456789abcdef.partial").touch()
    assert list_models(cli).keys() == {"seedling", "me/robots/Mine.gguf", "Copied"}


def test_a_copied_file_is_not_verified(cli: CliRunner, store: Path) -> None:
    store.mkdir()
    (store / "Copied.gguf").touch()
    assert list_models(cli)["Copied"]["verified"] is False


def test_a_published_name_with_another_digest_is_not_verified(cli: CliRunner, tiny: HubFile, store: Path) -> None:
    store.mkdir()
    (store / "tiny.gguf").touch()
    note_digest(store / "tiny.gguf", "f" * 64)
    assert list_models(cli)["tiny"]["verified"] is False


def test_a_file_written_after_its_check_is_no_longer_verified(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(b"GGUF")
    note_digest(path, "f" * 64)
    assert noted_digest(path) == "f" * 64
    later = path.with_name("model.gguf.sha256").stat().st_mtime_ns + 1
    os.utime(path, ns=(later, later))
    assert noted_digest(path) is None


def test_the_table_shows_names_sizes_and_states(
    cli: CliRunner, tiny: HubFile, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    lines = cli.invoke(main, ["models"]).stdout.splitlines()
    assert lines[0].split() == ["model", "size", "state", "file"]
    assert lines[1].split()[:1] == ["seedling"]
    assert lines[2].split() == ["tiny", "10.2", "kB", "can", "be", "pulled", "org/repo"]
    store.mkdir()
    (store / "tiny.gguf").write_bytes(b"GGUF")
    lines = cli.invoke(main, ["models"]).stdout.splitlines()
    assert lines[2].split() == ["tiny", "4", "bytes", "not", "verified", f"{store}/tiny.gguf"]
