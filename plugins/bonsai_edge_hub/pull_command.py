"""`bonsai-edge pull`: a published model, fetched once and checked."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import click

from bonsai_edge.cli.options import json_option
from bonsai_edge.cli.terminal import echo_json
from bonsai_edge.model_store import stored_path
from bonsai_edge_hub.catalogue import HubFile, find_hub_file
from bonsai_edge_hub.digests import note_digest, noted_digest, sha256_of
from bonsai_edge_hub.download import fetch
from bonsai_edge_hub.errors import DigestMismatchError, OfflineError


@dataclass(frozen=True)
class PullReport:
    """What `pull` prints; `sha256` is None for a file that was there and of which no digest is known."""

    name: str
    path: str
    bytes: int
    sha256: str | None
    verified: bool
    downloaded: bool


@click.command()
@click.argument("name")
@click.option("--force", is_flag=True, help="Fetch it even if it is there.")
@click.option(
    "--offline",
    is_flag=True,
    envvar="BONSAI_EDGE_OFFLINE",
    show_envvar=True,
    help="Use no network: fail if the model is not there.",
)
@json_option
def pull(name: str, force: bool, offline: bool, as_json: bool) -> None:
    """Fetch a model from the hub and check its SHA-256.

    NAME is one that `bonsai-edge models` lists, or any file of the hub as org/repo/file.gguf. An interrupted download
    continues where it stopped. HF_ENDPOINT and HF_TOKEN are honoured.

    \b
    Example:
      bonsai-edge pull bonsai-1.7b
      bonsai-edge pull some-org/some-repo/some-file.gguf --json
    """
    file = find_hub_file(name)
    path = stored_path(file.name)
    is_there = path.is_file() and not force
    if not is_there and offline:
        raise OfflineError(
            f"{name} is not fetched, because the network may not be used.",
            f"Run it without --offline and BONSAI_EDGE_OFFLINE, or copy the file to {path}.",
        )
    digest = _check_stored(file, path) if is_there else fetch(file, path, _show_hashing)
    report = PullReport(name, str(path), path.stat().st_size, digest, digest is not None, not is_there)
    if as_json:
        echo_json(report)
    else:
        state = "Fetched and verified" if not is_there else "Already there, verified" if digest else "Already there"
        click.echo(f"{state}: {path}")


def _check_stored(file: HubFile, path: Path) -> str | None:
    """Return the digest of a file that is there; None if nothing says what it should be."""
    noted = noted_digest(path)
    if noted is not None and (noted in file.digests or not file.digests):
        return noted
    if not file.digests:
        return None
    digest = _show_hashing(path)
    if digest not in file.digests:
        raise DigestMismatchError(
            f"{path} has the SHA-256 {digest}, the published {file.name} has {' or '.join(file.digests)}.",
            f"Replace it with `bonsai-edge pull {file.name} --force`.",
        )
    note_digest(path, digest)
    return digest


def _show_hashing(path: Path) -> str:
    with click.progressbar(length=path.stat().st_size, label="Checking SHA-256", file=sys.stderr) as bar:
        return sha256_of(path, bar.update)
