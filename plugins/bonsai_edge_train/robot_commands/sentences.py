"""Seeded generator of English robot commands with their answers, as people say and type them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bonsai_edge_train.robot_commands.actions import Action, render_answer
from bonsai_edge_train.robot_commands.corrections import write_correction
from bonsai_edge_train.robot_commands.disfluency import add_disfluency
from bonsai_edge_train.robot_commands.negation import write_negation
from bonsai_edge_train.robot_commands.not_commands import write_not_command
from bonsai_edge_train.robot_commands.politeness import (
    add_call,
    add_ending,
    add_politeness,
    add_reason,
    mention_first,
)
from bonsai_edge_train.robot_commands.sequences import MAX_ACTIONS, Draft, aside, draw_order, draw_sequence, draw_single
from bonsai_edge_train.robot_commands.speaker import Speaker
from bonsai_edge_train.robot_commands.styles import write_down
from bonsai_edge_train.robot_commands.typos import add_typos, drop_apostrophes

CATEGORIES = (
    "motion", "manipulation", "perception", "speech and settings", "sequences", "corrections", "negation",
    "typos and fillers", "not commands",
)  # fmt: skip
_FAMILIES = {
    "motion": ("go", "dock", "follow", "move", "turn", "stop", "wait"),
    "manipulation": (
        "pick", "place", "give", "release", "open", "close", "push", "pull", "switch", "clean",
    ),
    "perception": ("look", "inspect", "find", "photo"),
    "speech and settings": ("say", "report", "speed", "gripper"),
}  # fmt: skip
_FAMILY_OF = {action: family for family, actions in _FAMILIES.items() for action in actions}
_TYPO_SHARE = 0.08
_DISFLUENT_SHARE = 0.07
_MISSING_APOSTROPHES = 0.12


@dataclass(frozen=True)
class Example:
    """One command and its answer; `pairs` are the (object noun, place noun) combinations it mentions."""

    command: str
    answer: str
    category: str
    pairs: frozenset[tuple[str, str]]


def _write_one(s: Speaker) -> Draft:
    if s.chance(0.03):
        return _with_mention(s)
    return draw_single(s)


def _with_mention(s: Speaker) -> Draft:
    """Name a thing first and call it "it" in the order: "I dropped my pen. Pick it up."."""
    mention = mention_first(s)
    for _ in range(10):
        words, actions = draw_order(aside(s))[1]
        if {"it", "that", "them"} & set(words.split()):
            return Draft(
                f"{mention}{s.pick(', ', '. ', ', so ', ', please ', '. Please ')}{words}", actions, "statement"
            )
    return Draft(words, actions)


# What a sentence is made of, with the share of each in a thousand.
_WRITERS: dict[Callable[[Speaker], Draft], int] = {
    _write_one: 480,
    lambda s: draw_sequence(s, 2): 195,
    lambda s: draw_sequence(s, 3): 55,
    lambda s: draw_sequence(s, 4): 20,
    write_correction: 60,
    write_negation: 60,
    write_not_command: 130,
}
_DRAFT_WRITERS, _SHARES = tuple(_WRITERS), tuple(_WRITERS.values())


def generate_example(rng: Random) -> Example:
    """Draw one sentence with its answer."""
    while True:
        s = Speaker(rng)
        draft = rng.choices(_DRAFT_WRITERS, weights=_SHARES)[0](s)
        if len(draft.actions) <= MAX_ACTIONS:
            break
    _decorate(s, draft)
    answer = render_answer(draft.actions, draft.reply)
    pairs = frozenset((noun, place) for noun in s.nouns for place in s.places)
    return Example(draft.words, answer, draft.category or _category(draft.actions, draft), pairs)


def _decorate(s: Speaker, draft: Draft) -> None:
    """Add what leaves no trace in the answer, errors of speaking and typing, capitals and punctuation."""
    if s.chance(0.5 if draft.category == "not commands" else 1):
        add_politeness(s, draft)
        add_ending(s, draft)
    if draft.category != "not commands":
        add_reason(s, draft)
    add_call(s, draft)
    if s.chance(_DISFLUENT_SHARE):
        add_disfluency(s, draft)
    if s.chance(_TYPO_SHARE):
        add_typos(draft, s.rng)
    if s.chance(_MISSING_APOSTROPHES):
        drop_apostrophes(draft)
    write_down(s, draft)


def _category(actions: list[Action], draft: Draft) -> str:
    if draft.marks:
        return "typos and fillers"
    if draft.num_clauses > 1:
        return "sequences"
    return _FAMILY_OF[str(actions[0]["action"])]
