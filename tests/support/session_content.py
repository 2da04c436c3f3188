"""Small sessions for tests, and what a reader proves of a file."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from bonsai_edge.generation import Message
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge.sessions.file_format import DamagedSessionError, EncodedSession, SessionContent, SessionReader
from bonsai_edge.sessions.fingerprint import Fingerprint
from bonsai_edge.sessions.opening import Miss, open_session

PAGE_BYTES = 24
FINGERPRINT = Fingerprint(
    model="m" * 64,
    tokenizer="t" * 64,
    backend="fake",
    page_layout="1",
    kv_type="f16",
    page_tokens=PAGE_TOKENS,
    page_bytes=PAGE_BYTES,
)
MESSAGES = (Message("user", "Grüße"), Message("assistant", "robot"))


def content(seed: int = 0, num_tokens: int = 2 * PAGE_TOKENS + 5, **changes: Any) -> SessionContent:
    """Return a session with random tokens and pages; another seed gives another."""
    rng = np.random.default_rng(seed)
    fingerprint = changes.get("fingerprint", FINGERPRINT)
    fields: dict[str, Any] = {
        "fingerprint": fingerprint,
        "model_name": "fake",
        "saved_s": 1_800_000_000,
        "token_ids": rng.integers(0, 1000, num_tokens).tolist(),
        "messages": MESSAGES,
        "pages": list(rng.integers(0, 256, (-(-num_tokens // PAGE_TOKENS), fingerprint.page_bytes), np.uint8)),
    }
    return SessionContent(**fields | changes)


def encode(session: SessionContent) -> bytes:
    return b"".join(EncodedSession(session).chunks())


class Proven(msgspec.Struct):
    """All that a reader accepts of a file, and why not more."""

    header: object = None
    messages: tuple[Message, ...] | None = None
    token_ids: tuple[int, ...] | None = None
    pages: list[bytes] = []
    damage: str | None = None


def proven(source: bytes | Path) -> Proven:
    """Read as far as the file is as it was written; any exception but damage goes through."""
    found = Proven()
    try:
        opened = SessionReader(BytesIO(source), len(source)) if isinstance(source, bytes) else open_session(source)  # type: ignore[arg-type]
        if isinstance(opened, Miss):
            return Proven(damage=opened.reason)
        found.header = opened.header
        found.messages = opened.read_messages()
        found.token_ids = opened.read_token_ids()
        found.pages = [page.tobytes() for page in opened.pages()]
        found.damage = opened.damage
        opened.close()
    except DamagedSessionError as exc:
        found.damage = str(exc)
    return found


def is_whole(found: Proven, session: SessionContent) -> bool:
    """Return whether exactly this session was read, without any damage."""
    return found == Proven(
        header=EncodedSession(session).header,
        messages=tuple(session.messages),
        token_ids=tuple(session.token_ids),
        pages=[page.tobytes() for page in session.pages],
    )


def is_prefix(found: Proven, session: SessionContent) -> bool:
    """Return whether all that was read is of this session, and something is missing and told."""
    pages = [page.tobytes() for page in session.pages]
    return (
        found.damage is not None
        and found.header in (None, EncodedSession(session).header)
        and found.messages in (None, tuple(session.messages))
        and found.token_ids in (None, tuple(session.token_ids))
        and found.pages == pages[: len(found.pages)]
    )
