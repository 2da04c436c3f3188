"""What a clause is."""

from __future__ import annotations

from collections.abc import Callable

from bonsai_edge_train.robot_commands.actions import Action
from bonsai_edge_train.robot_commands.speaker import Speaker

Clause = tuple[str, list[Action]]
"""Words in lower case without final punctuation (names keep their capitals), and the actions they ask for."""

ClauseWriter = Callable[[Speaker], Clause]
"""Draws one phrasing of one kind of clause."""
