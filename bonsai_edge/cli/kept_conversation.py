"""The session that a command continues and writes back, and what is said about it on standard error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from bonsai_edge.cli.terminal import one_line
from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.generation import Message

if TYPE_CHECKING:
    from bonsai_edge.model import Model
    from bonsai_edge.sessions.model_sessions import RestoredSession


class KeptConversation:
    """A conversation under a name, restored when this is made; `messages` are its turns so far.

    One that belongs to another model is neither continued nor replaced. Without a name there is none, until it is
    saved under one. Raises InvalidRequestError for a session without messages, which only a program can continue.
    """

    def __init__(self, model: Model, name: str | None) -> None:
        self.messages: tuple[Message, ...] = ()
        self._model = model
        self._name = name
        self._is_foreign = False
        if name is None:
            return
        restored = model.restore_session(name)
        is_readable = restored.miss is None or restored.miss.kind in ("stale", "no_room")
        if is_readable and not restored.messages:
            raise InvalidRequestError(
                f"The session {name!r} was saved by a program and holds no conversation.", "Choose another name."
            )
        self.messages = restored.messages
        self._is_foreign = restored.miss is not None and restored.miss.kind == "foreign"
        click.echo(one_line(f"Session {name}: {_describe(restored)}."), err=True)

    def save_changes(self, messages: Sequence[Message]) -> None:
        """Save the conversation if it has a name and is not what was saved last; raises SessionError."""
        if self._name is None or not messages or tuple(messages) == self.messages:
            return
        if self._is_foreign:
            click.echo(f"Session {self._name}: stays as it is, and this conversation is not saved.", err=True)
        else:
            self.save(messages)

    def save(self, messages: Sequence[Message], name: str | None = None) -> None:
        """Save the conversation, under another name if one is given; raises SessionError and InvalidRequestError."""
        name = name or self._name
        if name is None:
            raise InvalidRequestError("The conversation has no name yet.", "Give it one: /save NAME.")
        if not messages:
            raise InvalidRequestError("There is nothing to save yet.", "Say something first.")
        saved = self._model.save_session(name, messages)
        if name == self._name:
            self.messages = tuple(messages)
        click.echo(
            f"Session {name}: {len(messages)} messages with {saved.tokens} tokens saved, {saved.num_bytes} bytes.",
            err=True,
        )


def _describe(restored: RestoredSession) -> str:
    found = f"{len(restored.messages)} messages with {restored.tokens} tokens restored"
    if restored.miss is None:
        return found
    if restored.miss.kind == "absent":
        return "is new"
    if restored.miss.kind == "foreign":
        return f"is neither continued nor replaced: {restored.reason}"
    return f"{found}, what is missing is computed again: {restored.reason}"
