"""Bounds on what a chat template may make: each check raises before a result is made that may be too large."""

from __future__ import annotations

import re
import string
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sized
from typing import Any

import jinja2
from jinja2.exceptions import SecurityError
from jinja2.utils import Namespace

MAX_RENDERED_CHARACTERS = 1 << 21  # also of every text made on the way
MAX_PRODUCT = 1 << 20

_PRINTF_WIDTHS = re.compile(r"%(?:\([^)]*\))?[#0\- +]*(\*|\d*)(?:\.(\*|\d*))?")


class TooLongError(jinja2.TemplateError):
    """The prompt, or a text on the way to it, is too long."""


def text_length(values: Iterable[Any]) -> int:
    """Return about how long values are as text, without writing it: a list may hold one long text a million times.

    Counting ends at the limit.
    """
    length = 0
    pending = [*values]
    while pending and length <= MAX_RENDERED_CHARACTERS:
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


def check_length(num_characters: int) -> None:
    """Refuse a text of so many characters."""
    if num_characters > MAX_RENDERED_CHARACTERS:
        raise TooLongError


def as_text(value: Any) -> str:
    """Return a value as text, unless that would be too long."""
    if not isinstance(value, str):
        check_length(text_length([value]))
    return str(value)


def _check_width(text: Any, width: int = 0, *rest: Any) -> None:
    if width > MAX_PRODUCT:
        raise SecurityError(f"it pads a text to more than {MAX_PRODUCT} characters")


def _check_indent(text: str, width: int | str = 4, *rest: Any, **options: Any) -> None:
    if size_of(width) * (len(text.splitlines()) + 1) > MAX_PRODUCT:
        raise SecurityError(f"it indents a text by more than {MAX_PRODUCT} characters")


def _check_replace(text: Any, old: Any, new: Any, *rest: Any, **options: Any) -> None:
    text = str(text)
    check_length(len(text) + text.count(str(old)) * len(str(new)))


def check_printf(text: str, values: Any) -> None:
    """Check `%`: the widths and precisions, and the values, each of which may be written at every sign."""
    widths = [width for match in _PRINTF_WIDTHS.finditer(text) for width in match.groups() if width]
    if "*" in widths or any(len(width) > 6 for width in widths) or sum(map(int, widths)) > MAX_PRODUCT:
        raise SecurityError("the result of '%' may be too large")
    check_length(len(text) + text.count("%") * text_length([values]))


def _check_format(text: str, *values: Any, **named_values: Any) -> None:
    """Check `str.format` like `%`; a width that is itself a field is refused."""
    specs = [spec for _, _, spec, _ in string.Formatter().parse(text) if spec]
    widths = [width for spec in specs for width in re.findall(r"\d+", spec)]
    if "{" in "".join(specs) or any(len(width) > 6 for width in widths) or sum(map(int, widths)) > MAX_PRODUCT:
        raise SecurityError("the result of 'format' may be too large")
    check_length(len(text) + text.count("{") * text_length([*values, *named_values.values()]))


def _check_printf_filter(text: Any, *values: Any, **named_values: Any) -> None:
    check_printf(str(text), named_values or values)


def _check_round(number: Any, precision: int = 0, *rest: Any) -> None:
    if abs(precision) > sys.float_info.max_10_exp:
        raise SecurityError(f"it rounds to {precision} digits")


def _check_sum(items: Any, attribute: Any = None, start: Any = 0) -> None:
    if not isinstance(start, int | float):
        raise SecurityError("it sums up what are no numbers")


# Each takes the operands of its method or filter, and raises before a result is made that may be too large.
METHOD_CHECKS: dict[str, Callable[..., None]] = {
    "center": _check_width,
    "format": _check_format,
    "format_map": _check_format,
    "ljust": _check_width,
    "replace": _check_replace,
    "rjust": _check_width,
    "zfill": _check_width,
}
FILTER_CHECKS: dict[str, Callable[..., None]] = {
    "center": _check_width,
    "format": _check_printf_filter,
    "indent": _check_indent,
    "replace": _check_replace,
    "round": _check_round,
    "sum": _check_sum,
}


def size_of(operand: Any) -> Any:
    """Return the length of a sequence, or the magnitude of a number."""
    return len(operand) if isinstance(operand, Sized) else abs(operand)
