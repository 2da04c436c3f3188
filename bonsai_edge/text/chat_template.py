"""Chat messages to one prompt, by the Jinja template of the model file, which is code from a stranger.

It runs in Jinja's immutable sandbox, with limits on its size, its steps, what it makes on the way, and its output.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import msgspec

from bonsai_edge.errors import InvalidRequestError, UnsupportedModelError
from bonsai_edge.formats.gguf import MetadataValue
from bonsai_edge.formats.metadata import require_string, require_strings
from bonsai_edge.generation import Message
from bonsai_edge.text.template_limits import MAX_RENDERED_CHARACTERS, TooLongError
from bonsai_edge.text.template_sandbox import MessagesRefusedError, TemplateSandbox
from bonsai_edge.text.vocabulary import optional_token_id

_KEY = "tokenizer.chat_template"
_MAX_SOURCE_CHARACTERS = 1 << 16  # Qwen3's template has 4 thousand

# What compiling and running someone else's expressions can raise.
_TEMPLATE_FAILURES = (
    jinja2.TemplateError,
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
)


class ChatTemplate:
    """A compiled chat template.

    Raises UnsupportedModelError if the source is too large or not a template that Jinja's sandbox can compile.
    """

    def __init__(self, source: str, *, bos_token: str = "", eos_token: str = "") -> None:
        if len(source) > _MAX_SOURCE_CHARACTERS:
            raise _unusable(f"has {len(source)} characters, at most {_MAX_SOURCE_CHARACTERS} are supported")
        self._constants = {"bos_token": bos_token, "eos_token": eos_token}
        self._sandbox = TemplateSandbox()
        self._lock = threading.Lock()
        try:
            self._template = self._sandbox.compile_counted(source)
        except _TEMPLATE_FAILURES as exc:
            raise _unusable(f"cannot be compiled: {_describe(exc)}") from exc

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, MetadataValue], path: Path) -> ChatTemplate | None:
        """Return the template of a GGUF file, None if it has none."""
        if _KEY not in metadata:
            return None
        tokens = require_strings(metadata, "tokenizer.ggml.tokens", path)

        def text_of(name: str) -> str:
            token_id = optional_token_id(metadata, name, len(tokens), path)
            return "" if token_id is None else tokens[token_id]

        return cls(require_string(metadata, _KEY, path), bos_token=text_of("bos"), eos_token=text_of("eos"))

    def render(
        self,
        messages: Sequence[Message],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        add_generation_prompt: bool = True,
    ) -> str:
        """Return the prompt for a conversation; `add_generation_prompt` opens the assistant's next turn.

        Raises InvalidRequestError if there are no messages, too long ones, or ones that the template refuses, and
        UnsupportedModelError if the template fails or leaves its sandbox.
        """
        if not messages:
            raise InvalidRequestError("There are no messages to answer.", "Send at least one message.")
        context = {
            "messages": [msgspec.structs.asdict(message) for message in messages],
            "tools": tools,
            "add_generation_prompt": add_generation_prompt,
            **self._constants,
        }
        try:
            with self._lock:
                self._sandbox.begin()
                return self._sandbox.join_limited(self._template.generate(context))
        except TooLongError as exc:
            raise InvalidRequestError(
                f"The chat template made the conversation longer than {MAX_RENDERED_CHARACTERS} characters.",
                "Send fewer or shorter messages.",
            ) from exc
        except MessagesRefusedError as exc:
            raise InvalidRequestError(
                f"The model's chat template refuses these messages: {exc.message}", "Change their roles or their order."
            ) from exc
        except _TEMPLATE_FAILURES as exc:
            raise _unusable(f"failed on these messages: {_describe(exc)}") from exc


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _unusable(what: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"The model's chat template {what}.",
        "Give the prompt as one text in the form the model expects, or use another model file.",
    )
