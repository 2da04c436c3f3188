"""Jinja's immutable sandbox, made safe for templates from strangers: everything they make is counted and bounded."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sized
from datetime import datetime
from typing import Any

import jinja2
from jinja2 import nodes
from jinja2.exceptions import SecurityError
from jinja2.filters import make_attrgetter
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import pass_context
from jinja2.visitor import NodeTransformer

from bonsai_edge.text.template_limits import (
    FILTER_CHECKS,
    MAX_PRODUCT,
    METHOD_CHECKS,
    as_text,
    check_length,
    check_printf,
    size_of,
    text_length,
)

_MAX_STEPS = 200_000  # a conversation of a thousand messages takes Qwen3's template 20 thousand
_MAX_MADE_BYTES = 1 << 25  # of all values made on the way; ChatML makes five bytes for each of a conversation in ASCII
_MAX_JSON_INDENT = 64
_MAX_DATE_FORMAT_CHARACTERS = 256

# They grow a text in ways of their own, or make bytes, and no chat template needs them.
_REFUSED_METHODS = frozenset({"encode", "expandtabs", "to_bytes", "translate"})
_REMOVED_FILTERS = frozenset({"batch", "pprint", "slice", "urlize", "wordwrap", "xmlattr"})

# They write their operands as text, whatever these are.
_TEXT_FILTERS = frozenset(
    {"capitalize", "center", "e", "escape", "forceescape", "format", "indent", "lower", "replace", "string"}
) | {"striptags", "title", "trim", "truncate", "upper", "urlencode", "wordcount"}


class MessagesRefusedError(jinja2.TemplateError):
    """The template called `raise_exception`."""


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


class TemplateSandbox(ImmutableSandboxedEnvironment):
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
            finalize=pass_context(lambda context, value: as_text(value)),
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
        """Join texts; raises TooLongError before the result is made."""
        num_characters = 0
        text = []
        for piece in pieces:
            num_characters += len(piece)
            check_length(num_characters)
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
        if method.__name__ in METHOD_CHECKS:
            METHOD_CHECKS[method.__name__](text, *args, **kwargs)
        result = self._made(super().call(context, obj, *args, **kwargs))
        if isinstance(result, list):  # of new texts, as `split` makes them
            for part in result:
                self._made(part)
        return result

    def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
        """Multiply, add and format within bounds; powers are refused."""
        if operator == "**" or (operator == "*" and size_of(left) * size_of(right) > MAX_PRODUCT):
            raise SecurityError(f"the result of {operator!r} may be too large")
        if operator == "+" and isinstance(left, Sized) and isinstance(right, Sized):
            check_length(len(left) + len(right))
        if operator == "%" and isinstance(left, str):
            check_printf(left, right)
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
                check_length(text_length([*operands, *kwargs.values()]))
            if name in FILTER_CHECKS:
                FILTER_CHECKS[name](*operands, **kwargs)
            return self._made(filter_(*args, **kwargs))

        return limited

    def _concatenate(self, values: list[Any]) -> str:
        return self.join_limited(map(as_text, values))

    def _join(self, items: Iterable[Any], d: Any = "", attribute: str | int | None = None) -> str:
        if attribute is not None:
            items = map(make_attrgetter(self, attribute), items)
        separator = as_text(d)
        return self.join_limited(
            piece for index, item in enumerate(items) for piece in (separator if index else "", as_text(item))
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
        if size_of(indent or 0) > _MAX_JSON_INDENT:
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


def _raise_exception(message: str) -> None:
    raise MessagesRefusedError(message)


def _strftime_now(format_: str) -> str:
    if len(format_) > _MAX_DATE_FORMAT_CHARACTERS:
        raise SecurityError(f"its format of a date is longer than {_MAX_DATE_FORMAT_CHARACTERS} characters")
    return datetime.now().strftime(format_)
