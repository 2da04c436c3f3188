"""Sessions of one loaded model: from its prefix cache to disk, and back."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec
import numpy as np

from bonsai_edge.engine.snapshot import PrefixSnapshot
from bonsai_edge.errors import SessionNotCachedError
from bonsai_edge.generation import Message
from bonsai_edge.sessions.file_format import DamagedSessionError, SessionContent, SessionReader
from bonsai_edge.sessions.opening import Miss
from bonsai_edge.sessions.store import SavedSession, SessionStore

if TYPE_CHECKING:
    from bonsai_edge.model import Model, Prompt

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RestoredSession:
    """What was found under a name.

    `tokens` are in the prefix cache now: a prompt that begins with them continues from there. `messages` are the
    conversation so far, also where its tokens must be computed again. `miss` says why not all that was saved is in
    the cache, None if it is.
    """

    tokens: int
    messages: tuple[Message, ...] = ()
    miss: Miss | None = None

    @property
    def reason(self) -> str | None:
        """Why not all that was saved is in the cache, for people."""
        return None if self.miss is None else self.miss.reason


class ModelSessions:
    """Saves and restores conversations of a model in a `SessionStore`, which lists, forks and deletes them."""

    def __init__(self, model: Model, store: SessionStore) -> None:
        self.store = store
        self._model = model

    def save(self, name: str, prompt: Prompt | Sequence[int], *, replace_foreign: bool = False) -> SavedSession:
        """Keep what the prefix cache holds of a prompt, its longest cached prefix, under a name.

        `prompt` is a text, token ids, or the messages of a conversation with the last answer, which are kept too.
        Raises SessionNotCachedError if the cache holds nothing of a text or token ids, as of one whose context was
        shifted, and as `SessionStore.save` does.
        """
        token_ids, messages = self._split(prompt)
        with self._model.engine.snapshot(token_ids) as snapshot:
            if not snapshot.token_ids and not messages:  # messages are worth keeping without their pages
                raise _not_cached(name, len(token_ids), self._model.context)
            content = SessionContent(
                fingerprint=self._model.fingerprint,
                model_name=self._model.name,
                saved_s=int(time.time()),
                token_ids=snapshot.token_ids,
                messages=messages,
                pages=snapshot.pages,
            )
            return self.store.save(name, content, replace_foreign=replace_foreign)

    def restore(self, name: str) -> RestoredSession:
        """Put what was saved under a name into the prefix cache, as far as it is proven to fit this model.

        No state of the file is an error. Raises InvalidRequestError for what is no name.
        """
        opened = self.store.open(name)
        if isinstance(opened, Miss):
            restored = RestoredSession(0, miss=opened)
        else:
            with closing(opened):
                restored = self._restore(opened)
        if restored.miss is not None:
            level = logging.INFO if restored.miss.kind == "absent" else logging.WARNING
            logger.log(level, "Session %r, %d tokens used: %s.", name, restored.tokens, restored.reason)
        return restored

    def _split(self, prompt: Prompt | Sequence[int]) -> tuple[Sequence[int], list[Message]]:
        """Return the token ids of a prompt, and its messages if it consists of them."""
        if isinstance(prompt, str):
            return self._model.encode_prompt(prompt), []
        if prompt and isinstance(prompt[0], (int, np.integer)):
            return cast("Sequence[int]", prompt), []
        token_ids = self._model.encode_prompt(cast("Prompt", prompt))  # says what is wrong with messages
        return token_ids, msgspec.convert(prompt, list[Message])

    def _restore(self, reader: SessionReader) -> RestoredSession:
        saved, ours = reader.header.fingerprint, self._model.fingerprint
        foreign = saved.foreign_to(ours)
        if foreign is not None:
            return RestoredSession(0, miss=Miss("foreign", f"{foreign}, {reader.header.model_name!r}"))
        messages: tuple[Message, ...] = ()
        try:
            messages = reader.read_messages()
            token_ids = reader.read_token_ids()
        except DamagedSessionError as exc:
            return RestoredSession(0, messages, Miss("damaged", str(exc)))
        stale = saved.stale_to(ours)
        if stale is not None:
            return RestoredSession(0, messages, Miss("stale", stale))
        if not token_ids:
            return RestoredSession(0, messages, _shortfall(0, 0, reader.damage))
        if max(token_ids) >= self._model.spec.vocab_size or min(token_ids) < 0:
            return RestoredSession(0, messages, Miss("damaged", "it has token ids that the model does not have"))
        tokens = self._model.engine.restore(PrefixSnapshot(token_ids, reader.pages()))
        return RestoredSession(tokens, messages, _shortfall(tokens, len(token_ids), reader.damage))


def _not_cached(name: str, num_tokens: int, context: int) -> SessionNotCachedError:
    """Say why nothing is cached: what is longer than the context was shifted, if it was ever computed."""
    cause = f"The KV cache holds none of the {num_tokens} tokens of the session {name!r}"
    if num_tokens <= context:
        return SessionNotCachedError(
            f"{cause}.", "Save it after an answer to this prompt, before others need the room."
        )
    return SessionNotCachedError(
        f"{cause}: they are more than the context of {context}, and pages that were shifted are no longer those of the "
        f"text alone.",
        "Save the messages of the conversation, which are computed again, or load the model with a larger context.",
    )


def _shortfall(tokens: int, num_saved: int, damage: str | None) -> Miss | None:
    if damage is not None:
        return Miss("damaged", damage)
    if tokens < num_saved:
        return Miss("no_room", f"the KV cache has room for {tokens} of its {num_saved} tokens")
    return None
