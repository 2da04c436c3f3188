"""Finds the profile of a board among the TOML files that plugins, this one too, bring."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from bonsai_edge.board_profile import BoardProfile, load_board_profile
from bonsai_edge.device_description import Board
from bonsai_edge.errors import InvalidBoardProfileError
from bonsai_edge_devices.root import Root


def builtin_profiles() -> list[Path]:
    """Return the files of this package."""
    return sorted((Path(__file__).parent / "boards").glob("*.toml"))


def load_profiles(root: Root, files: Iterable[Path]) -> dict[str, BoardProfile]:
    """Return the profiles by id; a later file replaces an earlier one of the same id, and a bad one is reported."""
    profiles = {}
    for file in files:
        try:
            profile = load_board_profile(file)
        except InvalidBoardProfileError as exc:
            root.report(str(file), exc.cause)
        else:
            profiles[profile.id] = profile
    return profiles


def find_profile(profiles: Iterable[BoardProfile], board: Board, soc: str | None) -> BoardProfile | None:
    """Return the profile that fits most closely; None if none does."""
    ranked = [(rank, profile) for profile in profiles if (rank := _rank(profile, board, soc)) is not None]
    return min(ranked, key=lambda entry: entry[0])[1] if ranked else None


def _rank(profile: BoardProfile, board: Board, soc: str | None) -> tuple[int, int] | None:
    """Return how closely a profile fits, the lowest being the closest.

    The device tree goes before names, and names before chips. Its list is ordered from the board to the chip, and of
    patterns a longer one says more.
    """
    candidates = [
        *((place, name, profile.match.compatible) for place, name in enumerate(board.compatible)),
        (1000, board.name, profile.match.names),
        (2000, soc, profile.match.socs),
    ]
    ranks = [
        (place, -len(pattern))
        for place, name, patterns in candidates
        for pattern in patterns
        if name is not None and fnmatchcase(name, pattern)
    ]
    return min(ranks, default=None)
