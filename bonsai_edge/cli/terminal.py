"""What all commands write the same way: JSON, errors, and text from a model or a file that nobody vouches for."""

from __future__ import annotations

import json
import logging
import re
import sys
from typing import Any

import click
import msgspec

from bonsai_edge.errors import BonsaiError, RemoteError
from bonsai_edge.progress import progress

_CONTROL_CHARACTERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # all but tab and line feed
_NOT_ON_ONE_LINE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_SURROGATES = re.compile(r"[\ud800-\udfff]")


def echo_json(value: Any) -> None:
    """Print one JSON value as one line of UTF-8, whatever the locale; bytes of a path that are no text become '?'."""
    try:
        line = msgspec.json.encode(value)
    except UnicodeEncodeError:  # Python holds such bytes as lone surrogates
        line = json.dumps(msgspec.to_builtins(value), ensure_ascii=False).encode(errors="replace")
    click.echo(line)


def echo_answer(text: str) -> None:
    """Print a piece of an answer at once: to a terminal without characters that command it, else exactly, as UTF-8."""
    click.echo(_CONTROL_CHARACTERS.sub("", text) if sys.stdout.isatty() else text.encode(), nl=False)


def one_line(text: str) -> str:
    """Replace line ends and control characters, which a file or a peer may have put there, by spaces.

    The bytes of a path that are no text become U+FFFD.
    """
    return _SURROGATES.sub("\ufffd", _NOT_ON_ONE_LINE.sub(" ", text))


def echo_error(error: BonsaiError, *, as_json: bool) -> None:
    """Print an error as one line on standard error, and with `as_json` as an object on standard output too."""
    code = error.remote_code if isinstance(error, RemoteError) else error.code
    click.echo(one_line(f"Error [{code}]: {error}"), err=True)
    if as_json:
        described: dict[str, Any] = {"code": code, "cause": error.cause, "remedy": error.remedy}
        echo_json({"error": described | ({"details": error.details} if error.details else {})})


class _ProgressHandler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        click.echo(one_line(record.getMessage()), err=True)


def show_progress() -> None:
    """Print on standard error what any part of the program says through `bonsai_edge.progress`."""
    progress.setLevel(logging.INFO)
    if not any(isinstance(handler, _ProgressHandler) for handler in progress.handlers):
        progress.addHandler(_ProgressHandler())
