"""`--pin`: files whose text the model keeps in its KV cache from the start."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from bonsai_edge.errors import InvalidRequestError
from bonsai_edge.generation import Message

if TYPE_CHECKING:
    from bonsai_edge.model import Model

pin_option = click.option(
    "--pin",
    "pinned_files",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Keep what prompts begin with in the KV cache: the first messages of a chat in a .json file, or a text as it "
    "reaches the model; may be repeated.",
)


def read_prefix(path: Path) -> str | list[Message]:
    """Read a list of messages from a .json file, a text from any other; raises InvalidRequestError."""
    try:
        content = path.read_bytes()
        return msgspec.json.decode(content, type=list[Message]) if path.suffix == ".json" else content.decode()
    except OSError as exc:
        raise InvalidRequestError(f"{path} cannot be read: {exc.strerror}.", "Check the path and its rights.") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidRequestError(
            f"{path} is no prefix to pin: {exc}.",
            'Write UTF-8: a list of {"role": ..., "content": ...} in a .json file, a text in any other.',
        ) from exc


def pin_all(model: Model, prefixes: Sequence[tuple[str, str | list[Message]]]) -> Model:
    """Pin named prefixes and return the model; close it if one of them cannot be pinned."""
    try:
        for name, prefix in prefixes:
            num_tokens = model.pin(name, prefix)
            click.echo(f"pinned {name}: {num_tokens} tokens", err=True)
    except BaseException:
        model.close()
        raise
    return model
