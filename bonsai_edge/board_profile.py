"""What a board's TOML file says: facts about a board that the board itself cannot tell.

The files are written for people: docs/devices.md explains them, and every one names its sources.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from bonsai_edge.errors import InvalidBoardProfileError

_MOST_BYTES = 64 << 10

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=400)]
Glob = Annotated[str, msgspec.Meta(min_length=3, max_length=100)]
Url = Annotated[str, msgspec.Meta(pattern="^https?://", max_length=400)]
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e15)]


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A table of the file; a misspelt key is an error."""


class Match(_Table, frozen=True):
    """How the board is recognised: shell-style patterns, of which one has to match.

    `compatible` is compared with the device tree's list, `names` with the name that the board, its firmware or the
    kernel gives it, `socs` with the name of the chip.
    """

    compatible: tuple[Glob, ...] = ()
    names: tuple[Glob, ...] = ()
    socs: tuple[Glob, ...] = ()


class NominalMemory(_Table, frozen=True):
    """The memory as published. The bandwidth is an upper bound that no program reaches: measure what counts."""

    kind: Text | None = None
    bandwidth_bytes_per_s: Positive | None = None
    unified: bool | None = None


class Threads(_Table, frozen=True):
    """Where compute threads belong: logical processors as a list such as "4-7", and why."""

    cpus: Annotated[str, msgspec.Meta(pattern=r"^\d{1,4}(-\d{1,4})?(,\d{1,4}(-\d{1,4})?)*$")] | None = None
    note: Text | None = None


class Rail(_Table, frozen=True):
    """A power rail by the label that the kernel or the firmware gives it, and what it feeds."""

    label: Text
    feeds: Text


class BoardEstimate(_Table, frozen=True):
    """The whole board's power, estimated as slope * sum of the measured rails + offset: a fit that was published."""

    slope: Positive
    offset_w: float
    source: Url


class Power(_Table, frozen=True):
    """The board's own power sensors.

    `total` is the label of the rail that feeds all others, if there is one, and `total_scope` what it feeds.
    `note` says what is missing, or why there is nothing.
    """

    rails: tuple[Rail, ...] = ()
    total: Text | None = None
    total_scope: Text | None = None
    board_estimate: BoardEstimate | None = None
    note: Text | None = None


class BoardProfile(_Table, frozen=True):
    """One board, or one module that several boards carry."""

    id: Annotated[str, msgspec.Meta(pattern="^[a-z0-9][a-z0-9-]{1,60}$")]
    name: Text
    match: Match
    sources: Annotated[tuple[Url, ...], msgspec.Meta(min_length=1)]
    soc: Text | None = None
    memory: NominalMemory = NominalMemory()
    threads: Threads = Threads()
    power: Power = Power()
    notes: tuple[Text, ...] = ()


def load_board_profile(path: Path) -> BoardProfile:
    """Read and check a board's TOML file; raises InvalidBoardProfileError."""
    remedy = "Correct the file, or remove the plugin that brings it; docs/devices.md lists the keys."
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise InvalidBoardProfileError(f"The board profile {path} is larger than {_MOST_BYTES} bytes.", remedy)
        return msgspec.toml.decode(content, type=BoardProfile)
    except (OSError, ValueError) as exc:  # msgspec's errors of syntax, type and constraint are ValueErrors
        raise InvalidBoardProfileError(f"The board profile {path} cannot be used: {exc}.", remedy) from exc
