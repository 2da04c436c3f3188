"""Chat messages to one prompt, by the Jinja template of the model file, which is code from a stranger.

It runs in Jinja's immutable sandbox, with limits on its size, its steps, what it makes on the way, and its output.
"""

from __future__ import annotations

import functools
import json
import re
import string
import sys
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence, Sized
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import make_attrgetter
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace, pass_context
from jinja2.visitor import NodeTransformer

from bonsai_edge.errors import InvalidRequestError, UnsupportedModelError
from bonsai_edge.formats.gguf import MetadataValue
from bonsai_edge.formats.metadata import require_string, require_strings
from bonsai_edge.generation import Message
from bonsai_edge.text.vocabulary import optional_token_id

_KEY = "tokenizer.chat_template"
_MAX_SOURCE_CHARACTERS = 1 << 16  # Qwen3's template has 4 thousand
_MAX_STEPS = 200_000  # a conversation of a thousand messages takes Qwen3's template 20 thousand
_MAX_RENDERED_CHARACTERS = 1 << 21  # also of every text made on the way
_MAX_MADE_BYTES = 1 << 25  # of all values made on the way; ChatML makes five bytes for each of a conversation in ASCII
_MAX_PRODUCT = 1 << 20
_MAX_JSON_INDENT = 64
_MAX_DATE_FORMAT_CHARACTERS = 256

# They grow a text in ways of their own, or make bytes, and no chat template needs them.
_REFUSED_METHODS = frozenset({"encode", "expandtabs", "to_bytes", "translate"})
_REMOVED_FILTERS = frozenset({"batch", "pprint", "slice", "urlize", "wordwrap", "xmlattr"})

# They write their operands as text, whatever these are.
_TEXT_FILTERS = frozenset(
    {"capitalize", "center", "e", "escape", "forceescape", "format", "indent", "lower", "replace", "string"}
) | {"striptags", "title", "trim", "truncate", "upper", "urlencode", "wordcount"}
_PRINTF_WIDTHS = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|\d*)(?:\.(\*|\d*))?")

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


class _TooLongError(jinja2.TemplateError):
    """The prompt, or a text on the way to it, is too long."""


class _Limiter(NodeTransformer):
    """Sends what Jinja compiles to plain Python, loops, `~` and slices, through filters of the sandbox."""

    def visit_For(self, node: nodes.For) -> nodes.For:
        self.generic_visit(node)
        node.iter = _filtered(node.iter, "_counted")
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(nodes.List(node.nodes), "_concatenated")

    def visit_Getitem(self, node: nodes.Getitem) -> nodes.Expr:
        self.generic_visit(node)
        return _filtered(node, "_made") if isinstance(node.arg, nodes.Slice) else node


def _filtered(node: nodes.Node, name: str) -> nodes.Filter:
    return nodes.Filter(node, name, [], [], None, None)


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja as Hugging Face's chat templates expect it, counting steps and the bytes of the values that it makes.

    A step is a pass of a loop, a call or a filter. Before `begin` there are none, so that the compiler, which would
    evaluate constant expressions, leaves them to rendering.
    """

    intercepted_binops = frozenset({"*", "**", "+", "%"})

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True,
            lstrip_blocks=True,
            extensions=["jinja2.ext.loopcontrols"],
            optimized=False,
            finalize=pass_context(lambda context, value: _as_text(value)),
        )
        self._steps_left = self._bytes_left = 0
        self.concat = self.join_limited  # type: ignore[method-assign]  # joins what macros and blocks write
        filters = self.filters | {"join": self._join, "tojson": self._to_json}
        self.filters = {name: self._limited(name, filters[name]) for name in filters.keys() - _REMOVED_FILTERS}
        self.filters |= {"_counted": self._counted, "_concatenated": self._concatenate, "_made": self._made}
        self.globals |= {"range": self._range, "raise_exception": _raise_exception, "strftime_now": _strftime_now}
        del self.globals["lipsum"]

    def compile_counted(self, source: str) -> jinja2.Template:
        """Compile a template in which every pass of a loop is a step."""
        tree = _Limiter().visit(self.parse(source))
        tree.set_environment(self)
        return self.from_string(tree)

    def begin(self) -> None:
        """Grant the steps and bytes of one rendering."""
        self._steps_left, self._bytes_left = _MAX_STEPS, _MAX_MADE_BYTES

    def join_limited(self, pieces: Iterable[str]) -> str:
        """Join texts; raises _TooLongError before the result is made."""
        num_characters = 0
        text = []
        for piece in pieces:
            num_characters += len(piece)
            _check_length(num_characters)
            text.append(piece)
        return str(self._made("".join(text)))

    def call(self, context: Any, obj: Any, /, *args: Any, **kwargs: Any) -> Any:
        """Call a function, method or macro: one step."""
        self._take_steps(1)
        method = getattr(obj, "__wrapped__", obj)  # the sandbox wraps `format`
        text = getattr(method, "__self__", None)
        if not isinstance(text, str):
            return self._made(super().call(context, obj, *args, **kwargs))
        if method.__name__ == "join":
            (items,) = args
            return self._join(items, text)
        if method.__name__ in _METHOD_CHECKS:
            _METHOD_CHECKS[method.__name__](text, *args, **kwargs)
        result = self._made(super().call(context, obj, *args, **kwargs))
        if isinstance(result, list):  # of new texts, as `split` makes them
            for part in result:
                self._made(part)
        return result

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Multiply, add and format within bounds; powers are refused."""
        if operator == "**" or (operator == "*" and _size(left) * _size(right) > _MAX_PRODUCT):
            raise SecurityError(f"the result of {operator!r} may be too large")
        if operator == "+" and isinstance(left, Sized) and isinstance(right, Sized):
            _check_length(len(left) + len(right))
        if operator == "%" and isinstance(left, str):
            _check_printf(left, right)
        return self._made(super().call_binop(context, operator, left, right))

    def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
        """Refuse also the methods that nobody needs."""
        return attr not in _REFUSED_METHODS and super().is_safe_attribute(obj, attr, value)

    def unsafe_undefined(self, obj: Any, attribute: str) -> Any:
        """Refuse an internal attribute aloud, where Jinja would let it pass as an empty text."""
        raise SecurityError(f"it reaches for {attribute!r}")

    def _take_steps(self, count: int) -> None:
        self._steps_left -= count
        if self._steps_left < 0:
            raise SecurityError(f"it takes more than {_MAX_STEPS} steps")

    def _made(self, value: Any) -> Any:
        """Count a value that was made, without what it refers to."""
        self._bytes_left -= sys.getsizeof(value)
        if self._bytes_left < 0:
            raise SecurityError(f"it makes values of more than {_MAX_MADE_BYTES} bytes")
        return value

    def _limited(self, name: str, filter_: Callable[..., Any]) -> Callable[..., Any]:
        """Return a filter that checks its operands, takes a step and counts its result."""
        num_passed = 1 if hasattr(filter_, "jinja_pass_arg") else 0  # the context or environment comes before them

        @functools.wraps(filter_)
        def limited(*args: Any, **kwargs: Any) -> Any:
            self._take_steps(1)
            operands = args[num_passed:]
            if name in _TEXT_FILTERS:
                _check_length(_text_length([*operands, *kwargs.values()]))
            if name in _FILTER_CHECKS:
                _FILTER_CHECKS[name](*operands, **kwargs)
            return self._made(filter_(*args, **kwargs))

        return limited

    def _concatenate(self, values: list[Any]) -> str:
        return self.join_limited(map(_as_text, values))

    def _join(self, items: Iterable[Any], d: Any = "", attribute: str | int | None = None) -> str:
        if attribute is not None:
            items = map(make_attrgetter(self, attribute), items)
        separator = _as_text(d)
        return self.join_limited(
            piece for index, item in enumerate(items) for piece in (separator if index else "", _as_text(item))
        )

    def _to_json(
        self,
        value: Any,
        ensure_ascii: bool = False,
        indent: int | str | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        """Write JSON as Hugging Face's filter of this name does: unlike Jinja's own, nothing is escaped for HTML."""
        if _size(indent or 0) > _MAX_JSON_INDENT:
            raise SecurityError(f"it indents JSON by more than {_MAX_JSON_INDENT}")
        encoder = json.JSONEncoder(ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)
        return self.join_limited(encoder.iterencode(value))

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
                self._sandbox.begin()
                return self._sandbox.join_limited(self._template.generate(context))
        except _TooLongError as exc:
            raise InvalidRequestError(
                f"The chat template made the conversation longer than {_MAX_RENDERED_CHARACTERS} characters.",
                "Send fewer or shorter messages.",
            ) from exc
        except _MessagesRefusedError as exc:
            raise InvalidRequestError(
                f"The model's chat template refuses these messages: {exc.message}", "Change their roles or their order."
            ) from exc
        except _TEMPLATE_FAILURES as exc:
            raise _unusable(f"failed on these messages: {_describe(exc)}") from exc


def _text_length(values: Iterable[Any]) -> int:
    """Return about how long values are as text, without writing it: a list may hold one long text a million times.

    Counting ends at the limit.
    """
    length = 0
    pending = [*values]
    while pending and length <= _MAX_RENDERED_CHARACTERS:
        value = pending.pop()
        if isinstance(value, Namespace):
            raise SecurityError("it writes a namespace")
        length += len(value) if isinstance(value, Sized) else 1
        if isinstance(value, Mapping):
            pending += value.keys()
            pending += value.values()
        elif isinstance(value, Collection) and not isinstance(value, str | range | jinja2.Undefined):
            pending += value
    return length


def _check_length(num_characters: int) -> None:
    if num_characters > _MAX_RENDERED_CHARACTERS:
        raise _TooLongError


def _as_text(value: Any) -> str:
    if not isinstance(value, str):
        _check_length(_text_length([value]))
    return str(value)


def _check_width(text: Any, width: int = 0, *rest: Any) -> None:
    if width > _MAX_PRODUCT:
        raise SecurityError(f"it pads a text to more than {_MAX_PRODUCT} characters")


def _check_indent(text: str, width: int | str = 4, *rest: Any, **options: Any) -> None:
    if _size(width) * (len(text.splitlines()) + 1) > _MAX_PRODUCT:
        raise SecurityError(f"it indents a text by more than {_MAX_PRODUCT} characters")


def _check_replace(text: Any, old: Any, new: Any, *rest: Any, **options: Any) -> None:
    text = str(text)
    _check_length(len(text) + text.count(str(old)) * len(str(new)))


def _check_printf(text: str, values: Any) -> None:
    """Check `%`: the widths and precisions, and the values, each of which may be written at every sign."""
    widths = [width for match in _PRINTF_WIDTHS.finditer(text) for width in match.groups() if width]
    if "*" in widths or any(len(width) > 6 for width in widths) or sum(map(int, widths)) > _MAX_PRODUCT:
        raise SecurityError("the result of '%' may be too large")
    _check_length(len(text) + text.count("%") * _text_length([values]))


def _check_format(text: str, *values: Any, **named_values: Any) -> None:
    """Check `str.format` like `%`; a width that is itself a field is refused."""
    specs = [spec for _, _, spec, _ in string.Formatter().parse(text) if spec]
    widths = [width for spec in specs for width in re.findall(r"\d+", spec)]
    if "{" in "".join(specs) or any(len(width) > 6 for width in widths) or sum(map(int, widths)) > _MAX_PRODUCT:
        raise SecurityError("the result of 'format' may be too large")
    _check_length(len(text) + text.count("{") * _text_length([*values, *named_values.values()]))


def _check_printf_filter(text: Any, *values: Any, **named_values: Any) -> None:
    _check_printf(str(text), named_values or values)


def _check_round(number: Any, precision: int = 0, *rest: Any) -> None:
    if abs(precision) > sys.float_info.max_10_exp:
        raise SecurityError(f"it rounds to {precision} digits")


def _check_sum(items: Any, attribute: Any = None, start: Any = 0) -> None:
    if not isinstance(start, int | float):
        raise SecurityError("it sums up what are no numbers")


# Each takes the operands of its method or filter, and raises before a result is made that may be too large.
_METHOD_CHECKS: dict[str, Callable[..., None]] = {
    "center": _check_width,
    "format": _check_format,
    "format_map": _check_format,
    "ljust": _check_width,
    "replace": _check_replace,
    "rjust": _check_width,
    "zfill": _check_width,
}
_FILTER_CHECKS: dict[str, Callable[..., None]] = {
    "center": _check_width,
    "format": _check_printf_filter,
    "indent": _check_indent,
    "replace": _check_replace,
    "round": _check_round,
    "sum": _check_sum,
}


def _raise_exception(message: str) -> None:
    raise _MessagesRefusedError(message)


def _strftime_now(format_: str) -> str:
    if len(format_) > _MAX_DATE_FORMAT_CHARACTERS:
        raise SecurityError(f"its format of a date is longer than {_MAX_DATE_FORMAT_CHARACTERS} characters")
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
