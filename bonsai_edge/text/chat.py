"""Chat messages to token ids, so that only the template can open and close turns.

A message may quote `<|im_start|>`; the model then sees those characters, never the control token.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.generation import Message
from bonsai_edge.text.chat_template import ChatTemplate
from bonsai_edge.text.special_tokens import protect
from bonsai_edge.text.tokenizer import Tokenizer

# Half of a surrogate pair: no text that can be encoded contains it.
_MARK = "\ud800"
# Templates cut past thoughts out of the assistant's turns, and must find them.
_THINK_TAGS = ("<think>", "</think>")


def encode_chat(
    tokenizer: Tokenizer,
    template: ChatTemplate,
    messages: Sequence[Message],
    *,
    tools: Sequence[Mapping[str, Any]] | None = None,
    add_generation_prompt: bool = True,
) -> list[int]:
    """Render a conversation and encode it, with control tokens only where the template itself writes them.

    Raises InvalidRequestError or UnsupportedModelError as `ChatTemplate.render` and `Tokenizer.encode` do.
    """
    special_texts = tokenizer.special_texts
    outside_thoughts = tuple(text for text in special_texts if text not in _THINK_TAGS)
    protected = [
        msgspec.structs.replace(
            message,
            content=_protect(message.content, outside_thoughts if message.role == "assistant" else special_texts),
        )
        for message in messages
    ]
    text = template.render(protected, tools=_protect(tools, special_texts), add_generation_prompt=add_generation_prompt)
    return tokenizer.encode(text, special=True, mark=_MARK)


def _protect(value: Any, special_texts: tuple[str, ...]) -> Any:
    """Return a copy of JSON-like data in which no text contains a special text."""
    if isinstance(value, str):
        if _MARK in value:
            raise InvalidRequestError(
                f"A message has half of a surrogate pair, {_MARK!r}, which is not a character.",
                "Send valid Unicode text.",
            )
        return protect(value, special_texts, _MARK)
    if isinstance(value, Mapping):
        return {_protect(key, special_texts): _protect(item, special_texts) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_protect(item, special_texts) for item in value]
    return value
