"""Seeded generator of English robot commands with their JSON answers.

Needs neither PyTorch nor a tokenizer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from bonsai_edge_train.actions import UNKNOWN_COMMAND, Action, render_answer
from bonsai_edge_train.clauses import CLAUSES, LAST_CLAUSES, QUESTIONS, ClauseWriter
from bonsai_edge_train.speaker import Speaker
from bonsai_edge_train.unknown_commands import write_unknown_command

_UNKNOWN_SHARE = 0.15
_ASKING_PREFIXES = (
    "could you ", "can you ", "would you ", "could you please ", "can you please ", "would you please ", "will you ",
)  # fmt: skip
_ORDER_PREFIXES = (
    "please ", "please ", "please ", "robot, ", "hey robot, ", "hey, ", "ok, ", "now ", "I want you to ",
    "I need you to ", "I would like you to ", "I'd like you to ", "you should ", "robot, please ", "just ", "kindly ",
    "let's ", "seedling, ",
)  # fmt: skip
_SUFFIXES = (" please", ", please", " now", ", thanks", ", thank you", " for me", " quickly", " right now")
_LINKS = (" and ", " and ", " and ", " and then ", ", then ", " then ", ", and then ", ", and ", ". Then ", "; ")
_LAST_LINKS = (*_LINKS, ". After that, ", ", after that ", " and finally ", " and after that ")


@dataclass(frozen=True)
class Example:
    """One command and its answer; `pairs` are the (object noun, place noun) combinations it mentions."""

    command: str
    answer: str
    pairs: frozenset[tuple[str, str]]


def _draw(rng: Random, writers: Mapping[ClauseWriter, int]) -> ClauseWriter:
    return rng.choices(list(writers), weights=list(writers.values()))[0]


def _order(s: Speaker, num_clauses: int) -> tuple[str, list[Action]]:
    """Chain clauses into one order."""
    text, actions = "", list[Action]()
    for index in range(num_clauses):
        is_last = index == num_clauses - 1
        writers = LAST_CLAUSES if is_last and s.chance(0.05) else CLAUSES
        words, clause_actions = _draw(s.rng, writers)(s)
        if index:
            link = s.rng.choice(_LAST_LINKS) if is_last else s.pick(", ", ", ", *_LINKS)
            text += link + words
        else:
            text = words
        actions += clause_actions
    if num_clauses > 1 and s.chance(0.08):
        text = "first " + text
    return text, actions


def _decorate(s: Speaker, text: str, is_question: bool, may_have_suffix: bool) -> str:
    """Add politeness, capitals and punctuation."""
    if not is_question and s.chance(0.45):
        if s.chance(0.35):
            text, is_question = s.rng.choice(_ASKING_PREFIXES) + text, s.chance(0.7)
        else:
            text = s.rng.choice(_ORDER_PREFIXES) + text
    elif is_question and s.chance(0.1):
        text = s.pick("robot, ", "hey robot, ", "hey, ", "tell me, ") + text
    if may_have_suffix and s.chance(0.12):
        text += s.rng.choice(_SUFFIXES)
    if is_question and s.chance(0.75):
        text += "?"
    elif s.chance(0.4):
        text += s.pick(".", ".", ".", "!")
    return text[0].upper() + text[1:] if s.chance(0.45) else text


def generate_example(rng: Random) -> Example:
    """Draw one example: usually 1 to 3 clauses, sometimes a command that the robot does not know."""
    s = Speaker(rng)
    draw = rng.random()
    if draw < _UNKNOWN_SHARE:
        text, answer = write_unknown_command(s), UNKNOWN_COMMAND
        if s.chance(0.15):
            known = _draw(rng, CLAUSES)(s)[0]
            text = s.pick(f"{known} and {text}", f"{text} and {known}", f"{known}, then {text}")
        if s.chance(0.6):
            text = _decorate(s, text, is_question=False, may_have_suffix=True)
    elif draw < _UNKNOWN_SHARE + 0.07:
        text, actions = _draw(rng, QUESTIONS)(s)
        text, answer = _decorate(s, text, is_question=True, may_have_suffix=False), render_answer(actions)
    else:
        num_clauses = rng.choices((1, 2, 3), weights=(45, 38, 17))[0]
        text, actions = _order(s, num_clauses)
        ends_with_text = actions[-1]["action"] == "say"
        text, answer = _decorate(s, text, False, not ends_with_text), render_answer(actions)
        if ends_with_text and not text.endswith(("'", '"')):
            text = text.rstrip("?!.")
    return Example(text, answer, frozenset((noun, place) for noun in s.nouns for place in s.places))
