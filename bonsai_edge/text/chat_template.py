"""Chat messages to one prompt, by the Jinja template of the model file, which is code from a stranger.

It runs in Jinja's immutable sandbox, with limits on its size, its steps and its output.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bonsai_edge.errors import InvalidRequestError, UnsupportedModelError
from bonsai_edge.formats.gguf import MetadataValue
from bonsai_edge.formats.metadata import require_string, require_strings
from bonsai_edge.generation import Message
from bonsai_edge.text.vocabulary import optional_token_id

_KEY = "tokenizer.chat_template"
_MAX_SOURCE_CHARACTERS = 1 << 16  # Qwen3's template has 4 thousand
_MAX_STEPS = 200_000  # a conversation of a thousand messages takes Qwen3's template 20 thousand
_MAX_RENDERED_CHARACTERS = 1 << 21
_MAX_PRODUCT = 1 << 20

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


class _MessagesRefusedError(jinja2.TemplateError):
    """The template called `raise_exception`."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja as Hugging Face's chat templates expect it, counting loop passes and calls."""

    intercepted_binops = frozenset({"*", "**"})

    def __init__(self) -> None:
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
        self.steps_left = 0
        self.filters |= {"tojson": _to_json, "_counted": self._counted}
        self.globals |= {"range": self._range, "raise_exception": _raise_exception, "strftime_now": _strftime_now}
        del self.globals["lipsum"]

    def compile_counted(self, source: str) -> jinja2.Template:
        """Compile a template in which every pass of a loop is a step."""
        tree = self.parse(source)
        for loop in tree.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, "_counted", [], [], None, None)
        tree.set_environment(self)
        return self.from_string(tree)

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function or macro: one step."""
        self._take_steps(1)
        return super().call(context, obj, *args, **kwargs)

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Multiply within bounds; powers are refused."""
        if operator == "**" or _size(left) * _size(right) > _MAX_PRODUCT:
            raise SecurityError(f"the result of {operator!r} may be too large")
        return super().call_binop(context, operator, left, right)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        """Refuse an internal attribute aloud, where Jinja would let it pass as an empty text."""
        raise SecurityError(f"it reaches for {attribute!r}")

    def _take_steps(self, count: int) -> None:
        self.steps_left -= count
        if self.steps_left < 0:
            raise SecurityError(f"it takes more than {_MAX_STEPS} steps")

    def _counted(self, items: Iterable[Any]) -> Iterator[Any]:
        for item in items:
            self._take_steps(1)
            yield item

    def _range(self, *args: int) -> range:
        numbers = range(*args)
        self._take_steps(len(numbers))
        return numbers


class ChatTemplate:
    """A compiled chat template.

    Raises UnsupportedModelError if the source is too large or not a template that Jinja's sandbox can compile.
    """

    def __init__(self, source: str, *, bos_token: str = "", eos_token: str = "") -> None:
        if len(source) > _MAX_SOURCE_CHARACTERS:
            raise _unusable(f"has {len(source)} characters, at most {_MAX_SOURCE_CHARACTERS} are supported")
        self._constants = {"bos_token": bos_token, "eos_token": eos_token}
        self._sandbox = _Sandbox()
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
                self._sandbox.steps_left = _MAX_STEPS
                return _join_limited(self._template.generate(context))
        except _MessagesRefusedError as exc:
            raise InvalidRequestError(
                f"The model's chat template refuses these messages: {exc.message}", "Change their roles or their order."
            ) from exc
        except _TEMPLATE_FAILURES as exc:
            raise _unusable(f"failed on these messages: {_describe(exc)}") from exc


def _join_limited(pieces: Iterable[str]) -> str:
    num_characters = 0
    text = []
    for piece in pieces:
        num_characters += len(piece)
        if num_characters > _MAX_RENDERED_CHARACTERS:
            raise InvalidRequestError(
                f"The chat template made the conversation longer than {_MAX_RENDERED_CHARACTERS} characters.",
                "Send fewer or shorter messages.",
            )
        text.append(piece)
    return "".join(text)


def _to_json(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Write JSON as Hugging Face's filter of this name does: unlike Jinja's own, nothing is escaped for HTML."""
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _raise_exception(message: str) -> None:
    raise _MessagesRefusedError(message)


def _strftime_now(format_: str) -> str:
    return datetime.now().strftime(format_)


def _size(operand: Any) -> Any:
    return len(operand) if isinstance(operand, Sized) else abs(operand)


def _describe(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _unusable(what: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"The model's chat template {what}.",
        "Give the prompt as one text in the form the model expects, or use another model file.",
    )
