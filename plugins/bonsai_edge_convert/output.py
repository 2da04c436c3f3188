"""Output that appears under its name only when it is complete, and never replaces anything unasked."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bonsai_edge.errors import BonsaiError

PACK_FILES = frozenset(
    {
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "gguf.json",
        "merges.txt",
        "model.safetensors",
        "model.safetensors.index.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.json",
    }
)
"""What an MLX pack consists of; a directory with anything else in it is never replaced."""


class OutputError(BonsaiError):
    """The destination exists, or cannot be written."""

    code = "output"


@contextmanager
def unfinished(destination: Path, *, force: bool) -> Iterator[Path]:
    """Yield a path beside `destination` to write a file or directory to; rename it when the block ends without error.

    Raises OutputError if the destination exists and may not be replaced, and for every OSError of the writing.
    """
    _check_free(destination, force=force)
    try:
        staging = Path(tempfile.mkdtemp(prefix=f".{destination.name}.", dir=destination.parent))
        try:
            written = staging / destination.name
            yield written
            _flush(written)
            _check_free(destination, force=force)
            if destination.is_dir():
                destination.rename(staging / "replaced")
            written.replace(destination)
        finally:
            shutil.rmtree(staging)
    except OSError as exc:
        raise OutputError(
            f"{destination} cannot be written: {exc.strerror or exc}.",
            "Check the directory, its permissions and free space.",
        ) from exc


def _check_free(destination: Path, *, force: bool) -> None:
    if not destination.exists() and not destination.is_symlink():
        return
    if not force:
        raise OutputError(f"{destination} exists already.", "Give another name, or --force to replace it.")
    if destination.is_dir():
        others = sorted(path.name for path in destination.iterdir() if path.name not in PACK_FILES)
        if others or destination.is_symlink():
            found = f"it holds {others[0]!r}" if others else "it is a link"
            raise OutputError(
                f"{destination} is not replaced: {found}, which is no part of an MLX pack.",
                "Give another name, or empty the directory yourself.",
            )


def _flush(written: Path) -> None:
    """Make sure that the contents are on the disk before the name is."""
    for path in written.iterdir() if written.is_dir() else [written]:
        with path.open("rb") as file:
            os.fsync(file.fileno())
