"""Fetches one file from the hub: resumed where it stopped, checked, and only then given its name.

This is the only module of bonsai-edge that uses the network. It calls the library's `http_get` and not its
`hf_hub_download`, which throws away what has arrived when it is interrupted.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError is of the HTTP library it is built on
    EntryNotFoundError,
    HTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.file_download import http_get
from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]  # public, but exported lazily

from bonsai_edge.version import __version__
from bonsai_edge_hub.catalogue import HubFile
from bonsai_edge_hub.digests import note_digest
from bonsai_edge_hub.errors import (
    DigestMismatchError,
    DownloadError,
    DownloadInProgressError,
    InsufficientDiskError,
)

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class _Source:
    """A file as the hub describes it, and the digests that we take."""

    url: str
    headers: dict[str, str]
    num_bytes: int
    digests: tuple[str, ...]


def fetch(file: HubFile, target: Path, digest_of: Callable[[Path], str]) -> str:
    """Fetch a file to `target`, replacing what is there, and return its SHA-256.

    Until `digest_of` has hashed it, it is `<target>.<digest>.partial`, which a later call continues. Raises
    DownloadError, DownloadInProgressError, InsufficientDiskError or DigestMismatchError.
    """
    try:
        source = _look_up(file)
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f"{target.name}.{source.digests[0][:16]}.partial")
        _check_disk(file, source, partial)
        with partial.open("ab") as stream:
            _lock(stream, file)
            _download(file, source, stream)
            digest = digest_of(partial)
            if digest not in source.digests:
                partial.unlink()
                raise DigestMismatchError(
                    f"What was fetched as {file.name} has the SHA-256 {digest}, expected was "
                    f"{' or '.join(source.digests)}; it was removed.",
                    "Fetch it again; if it happens again, something between here and the hub changes it.",
                )
            partial.replace(target)
        note_digest(target, digest)
    except (RepositoryNotFoundError, RevisionNotFoundError, EntryNotFoundError) as exc:
        raise DownloadError(
            f"{_endpoint()} does not show {file.repository}/{file.filename} at revision {file.revision}.",
            "Check the name; a private or gated repository needs HF_TOKEN.",
        ) from exc
    except (HTTPError, OSError) as exc:
        raise DownloadError(
            f"Fetching {file.name} to {target.parent} failed: {_first_line(exc)}.",
            "Check network and disk, then run the same command again: it continues where it stopped.",
        ) from exc
    return digest


def _endpoint() -> str:
    """Return the hub's address; HF_ENDPOINT is read again because the library reads it only when it is imported."""
    return (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")


def _look_up(file: HubFile) -> _Source:
    endpoint = _endpoint()
    headers = build_hf_headers(library_name="bonsai-edge", library_version=__version__)  # has HF_TOKEN if there is one
    url = hf_hub_url(file.repository, file.filename, revision=file.revision, endpoint=endpoint)
    metadata = get_hf_file_metadata(url, headers=headers)
    if metadata.size is None:
        raise DownloadError(f"{endpoint} does not state the size of {file.name}.", "Check HF_ENDPOINT.")
    # Of a large file the hub's ETag is its SHA-256, of a small one it is Git's hash.
    stated = metadata.etag if metadata.etag and _SHA256.fullmatch(metadata.etag) else None
    if stated is None and not file.digests:
        raise DigestMismatchError(
            f"{endpoint} states no SHA-256 for {file.name}, so it could not be checked.",
            "Fetch it by other means, and give its path.",
        )
    if stated is not None and file.digests and stated not in file.digests:
        raise DigestMismatchError(
            f"{endpoint} offers {file.name} with the SHA-256 {stated}, expected is {' or '.join(file.digests)}.",
            "Check HF_ENDPOINT, or update bonsai-edge.",
        )
    return _Source(url, headers, metadata.size, (stated,) if stated else file.digests)


def _check_disk(file: HubFile, source: _Source, partial: Path) -> None:
    arrived = partial.stat().st_size if partial.exists() else 0
    missing, free = source.num_bytes - arrived, shutil.disk_usage(partial.parent).free
    if missing > free:
        raise InsufficientDiskError(
            f"{file.name} needs {missing:,} more bytes in {partial.parent}, {free:,} are free.",
            "Free some space, or set BONSAI_EDGE_MODELS to a directory on another disk.",
        )


def _lock(stream: BinaryIO, file: HubFile) -> None:
    """Keep the partial file for this process until it is closed."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        raise DownloadInProgressError(
            f"Another process is fetching {file.name}.", "Wait for it, or end it and run the command again."
        ) from exc


def _download(file: HubFile, source: _Source, stream: BinaryIO) -> None:
    """Append what is missing, and have it on the disk before anything is said of it."""
    if stream.tell() > source.num_bytes:
        stream.truncate(0)
        stream.seek(0)
    http_get(
        source.url,
        stream,
        resume_size=stream.tell(),
        headers=source.headers | {"Accept-Encoding": "identity"},
        expected_size=source.num_bytes,
        displayed_filename=file.filename,
    )
    stream.flush()
    os.fsync(stream.fileno())


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0].rstrip(".")
