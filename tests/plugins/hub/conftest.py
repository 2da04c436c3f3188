from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import CliRunner
from huggingface_hub import constants

from bonsai_edge_hub import catalogue
from bonsai_edge_hub.catalogue import HubFile, PublishedModel

REVISION = "0123456789abcdef0123456789abcdef01234567"
CHUNK_BYTES = 1000


@dataclass
class FakeHub:
    """The part of the hub's API that a download needs, for files by `repository/filename`; remembers its requests.

    A connection breaks after `break_after` bytes of content, and all later ones at once, until it is None again.
    `etag` is what the hub states instead of the SHA-256; `served` is what it sends instead of the content. With `cdn`,
    an address of another host, content is served from there, as the real hub does.
    """

    endpoint: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    break_after: int | None = None
    etag: str | None = None
    served: bytes | None = None
    cdn: str | None = None

    def ranges(self) -> list[str | None]:
        """Return the Range header of each GET."""
        return [headers.get("range") for method, _, headers in self.requests if method == "GET"]


class Handler(BaseHTTPRequestHandler):
    """Answers HEAD and GET of `/<org>/<repo>/resolve/<revision>/<filename>`, and of `/cdn` before it."""

    protocol_version = "HTTP/1.1"
    hub: FakeHub

    def log_message(self, *args: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        content = self._find()
        if content is not None and not self._redirect(content):
            self.send_response(200)
            self._state(content, len(content))

    def do_GET(self) -> None:
        content = self._find()
        if content is None or self._redirect(content):
            return
        body = content if self.hub.served is None else self.hub.served
        asked_range = self.headers.get("Range")
        start = int(asked_range.removeprefix("bytes=").rstrip("-")) if asked_range else 0
        self.send_response(206 if asked_range else 200)
        if asked_range:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self._state(content, len(body) - start)
        if self.hub.break_after is None:
            self.wfile.write(body[start:])
        else:
            self.wfile.write(body[start : start + self.hub.break_after])
            self.hub.break_after = 0
            self.close_connection = True

    def _find(self) -> bytes | None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.hub.requests.append((self.command, self.path, headers))
        repository, _, rest = self.path.removeprefix("/cdn").lstrip("/").partition("/resolve/")
        content = self.hub.files.get(f"{repository}/{rest.partition('/')[2]}")
        if content is None:
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
        return content

    def _redirect(self, content: bytes) -> bool:
        if self.hub.cdn is None or self.path.startswith("/cdn/"):
            return False
        self.send_response(302)
        self.send_header("Location", f"{self.hub.cdn}/cdn{self.path}")
        self._state(content, 0)
        return True

    def _state(self, content: bytes, length: int) -> None:
        digest = hashlib.sha256(content).hexdigest()
        self.send_header("ETag", '"cdn"')
        self.send_header("X-Linked-Etag", f'"{self.hub.etag or digest}"')
        self.send_header("X-Linked-Size", str(len(content)))
        self.send_header("X-Repo-Commit", REVISION)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(length))
        self.end_headers()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub on this machine that HF_ENDPOINT names; retries do not wait, and chunks are small."""
    fake = FakeHub()
    handler = type("BoundHandler", (Handler,), {"hub": fake})
    monkeypatch.setattr("huggingface_hub.file_download.time.sleep", lambda seconds: None)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", CHUNK_BYTES)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        fake.endpoint = f"http://127.0.0.1:{server.server_port}"
        monkeypatch.setenv("HF_ENDPOINT", fake.endpoint)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        server.shutdown()
        thread.join(timeout=10)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A models directory of the test's own, not made yet."""
    monkeypatch.setenv("BONSAI_EDGE_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("BONSAI_EDGE_OFFLINE", raising=False)
    return tmp_path / "models"


@pytest.fixture
def content() -> bytes:
    """What the file `tiny` holds."""
    return bytes(range(256)) * 40


@pytest.fixture
def tiny(content: bytes, monkeypatch: pytest.MonkeyPatch) -> HubFile:
    """The only file of the catalogue."""
    file = HubFile("tiny", "org/repo", "Tiny.gguf", REVISION, len(content), (hashlib.sha256(content).hexdigest(),))
    monkeypatch.setattr(catalogue, "PUBLISHED_MODELS", (PublishedModel(file, 2, 256, ()),))
    return file


@pytest.fixture
def cli() -> CliRunner:
    return CliRunner(catch_exceptions=False)
