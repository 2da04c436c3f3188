"""Clauses of robot commands: every kind of action in the ways people ask for it.

Each writer draws one phrasing and returns its words with the actions they ask for. The numbers are relative
frequencies within a table.
"""

from __future__ import annotations

from bonsai_edge_train.robot_commands.clauses import manipulation, motion, perception, settings, speech
from bonsai_edge_train.robot_commands.clauses.types import Clause, ClauseWriter

__all__ = ["LAST", "ORDERS", "QUESTIONS", "STATEMENTS", "Clause", "ClauseWriter"]

# Imperatives that can stand anywhere in a sentence and after "please" or "could you".
ORDERS: dict[ClauseWriter, int] = {
    **motion.ORDERS, **manipulation.ORDERS, **perception.ORDERS, **speech.ORDERS, **settings.ORDERS,
}  # fmt: skip
# Questions, which stand alone.
QUESTIONS: dict[ClauseWriter, int] = {**manipulation.QUESTIONS, **perception.QUESTIONS, **settings.QUESTIONS}
# Declarative and verbless forms, which stand alone.
STATEMENTS: dict[ClauseWriter, int] = {
    **motion.STATEMENTS, **manipulation.STATEMENTS, **perception.STATEMENTS, **settings.STATEMENTS,
}  # fmt: skip
# Imperatives that end in free text and so have to be the last of a sentence.
LAST: dict[ClauseWriter, int] = {**speech.LAST}
