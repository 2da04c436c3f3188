"""Clauses about things: carrying them and handling them."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.clauses import carrying, handling, needing
from bonsai_edge_train.robot_commands.clauses.types import ClauseWriter

ORDERS: dict[ClauseWriter, int] = {**carrying.ORDERS, **handling.ORDERS}
QUESTIONS: dict[ClauseWriter, int] = {**needing.QUESTIONS}
STATEMENTS: dict[ClauseWriter, int] = {**needing.STATEMENTS, **handling.STATEMENTS}
