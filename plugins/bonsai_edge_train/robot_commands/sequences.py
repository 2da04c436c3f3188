"""Orders of one to four clauses: which clauses are drawn, and the words that link them."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, chain
from random import Random
from typing import Literal

from bonsai_edge_train.robot_commands.actions import Action
from bonsai_edge_train.robot_commands.clauses import LAST, ORDERS, QUESTIONS, STATEMENTS, Clause, ClauseWriter
from bonsai_edge_train.robot_commands.speaker import PRONOUNS, Speaker
from bonsai_edge_train.robot_commands.verbs import gerund, takes_base_verb

MAX_ACTIONS = 4  # more in one breath is not how people give orders, though the schema of an answer allows eight

Form = Literal["order", "question", "statement"]

_LINKS = (
    " ", " ", " and ", " and ", " and ", " and ", " and ", " and ", " and then ", " and then ", ", then ", ", then ",
    " then ",
    ", and ", ", and then ", ". ", ". ", ". Then ", "; ", ", ", ", ", ", ", ", after that ", ". After that, ",
    " and after that ", " and also ", " and next ", ", next ", ". Next, ", ", and after that, ", " and afterwards ",
    ", afterwards ", ". Also ", " & ", ", and while you're at it, ", ", also ", ". And ", ", plus ", " - ", "! ",
    ", and don't forget to ", " and make sure to ", " and make sure you ", ". Please ", ", please ", " and please ",
    ", and now ", " and just ", ". Now ", " and I also need you to ", ", and could you also ",
)  # fmt: skip
_LAST_LINKS = (
    *_LINKS, *_LINKS, ", and finally ", " and finally ", ", finally ", ". Finally, ", " and lastly ",
    ", and lastly, ", ". Last, ",
)  # fmt: skip
_PLAIN_LINKS = (
    " ",
    " and ",
    " and ",
    ", ",
    ", ",
    ". ",
    ", then ",
    " then ",
    " and then ",
    ", and ",
    "; ",
    ". Then ",
    "! ",
)
_OPENINGS = ("first ", "first ", "first ", "first, ", "first of all, ", "to begin with, ", "start by ")
_NUMBERINGS = (("1. ", " 2. ", " 3. ", " 4. "), ("1) ", ", 2) ", ", 3) ", ", 4) "), ("one, ", ", two, ", ", three, ",
               ", four, "), ("step one: ", ", step two: ", ", step three: ", ", step four: "))  # fmt: skip


@dataclass
class Draft:
    """One sentence in the making: words without final punctuation and what they ask for."""

    words: str
    actions: list[Action]
    form: Form = "order"
    num_clauses: int = 1
    category: str | None = None  # None: that of its clauses
    reply: str | None = None
    marks: list[str] = field(default_factory=list)  # what was done to it: "typo", "filler"

    def ends_with_text(self) -> bool:
        """Tell whether the last words are for the robot to say, so that nothing may follow them."""
        if not self.actions or self.actions[-1]["action"] != "say":
            return False
        return self.words.lower().endswith(str(self.actions[-1]["text"]).lower())


class WeightedWriters:
    """Clause writers to draw from by weight."""

    def __init__(self, *tables: Mapping[ClauseWriter, int]) -> None:
        self._writers = [writer for table in tables for writer in table]
        self._cumulative = list(accumulate(weight for table in tables for weight in table.values()))

    def draw(self, rng: Random) -> ClauseWriter:
        """Draw one writer."""
        return rng.choices(self._writers, cum_weights=self._cumulative)[0]


_ORDERS = WeightedWriters(ORDERS)
_LAST_ORDERS = WeightedWriters(ORDERS, LAST)
_FORMS: tuple[Form, ...] = ("order", "question", "statement")
_FORM_WEIGHTS = [sum(table.values()) for table in ({**ORDERS, **LAST}, QUESTIONS, STATEMENTS)]
_QUESTIONS = WeightedWriters(QUESTIONS)
_STATEMENTS = WeightedWriters(STATEMENTS)


def draw_order(s: Speaker) -> tuple[ClauseWriter, Clause]:
    """Draw one imperative clause that may stand anywhere, with its writer."""
    writer = _ORDERS.draw(s.rng)
    return writer, writer(s)


def draw_self_contained(s: Speaker, writer: ClauseWriter | None = None) -> Clause:
    """Draw an imperative clause without an "it" that a listener would take for something in words taken back."""
    while True:
        speaker = aside(s)
        clause = (writer or _ORDERS.draw(s.rng))(speaker)
        if PRONOUNS.isdisjoint(map(str, chain.from_iterable(action.values() for action in clause[1]))):
            s.remember(speaker)
            return clause


def aside(s: Speaker) -> Speaker:
    """Return the same speaker for words that shall not change what "it" stands for afterwards."""
    other = copy.copy(s)
    other.picked = set(s.picked)
    return other


def draw_single(s: Speaker) -> Draft:
    """Draw a sentence of one clause: an order, a question or a statement."""
    form = s.rng.choices(_FORMS, weights=_FORM_WEIGHTS)[0]
    writers = {"order": _LAST_ORDERS, "question": _QUESTIONS, "statement": _STATEMENTS}[form]
    words, actions = writers.draw(s.rng)(s)
    return Draft(words, actions, form)


def _reversed_order(s: Speaker) -> Draft:
    """Two clauses named in another order than they are to be done, or in the same one with before or after."""
    first, first_actions = draw_self_contained(aside(s))
    second, second_actions = draw_self_contained(aside(s))
    doing_first, doing_second = gerund(first), gerund(second)
    draw = s.rng.random()
    if draw < 0.45:
        words = f"before you {second}, {first}"
        if doing_second and s.chance(0.35):
            words = f"before {doing_second}, {first}"
    elif draw < 0.6:
        words = f"after you {first}, {second}"
        if doing_first and s.chance(0.6):
            words = f"after {doing_first}, {second}"
    elif draw < 0.85:
        words = f"{first} before you {second}"
        if doing_second and s.chance(0.5):
            words = f"{first} before {doing_second}"
    else:
        words = f"{second} after {doing_first}" if doing_first else f"{first} and only then {second}"
    return Draft(words, first_actions + second_actions, num_clauses=2)


def _numbered(clauses: list[str], s: Speaker) -> str:
    numbering = s.rng.choice(_NUMBERINGS)
    return "".join(mark + words for mark, words in zip(numbering, clauses, strict=False))


def _linked(clauses: list[str], s: Speaker) -> str:
    words = clauses[0]
    last = len(clauses) - 1
    usual = s.rng.choice(_LINKS) if s.chance(0.4) else ""  # people repeat "and then" or put only commas
    for index, clause in enumerate(clauses[1:], start=1):
        links = _PLAIN_LINKS if not takes_base_verb(clause) else _LAST_LINKS if index == last > 1 else _LINKS
        link = usual if usual in links else s.rng.choice(links)
        words += link + clause
    if s.chance(0.08):
        opening = s.rng.choice(_OPENINGS)
        doing = gerund(clauses[0])
        if opening != "start by ":
            words = opening + words
        elif doing and last == 1:
            words = f"start by {doing}, then {clauses[1]}"
    return words


def draw_sequence(s: Speaker, num_clauses: int) -> Draft:
    """Draw a sentence of several clauses with at most MAX_ACTIONS actions."""
    if num_clauses == 2 and s.chance(0.06):
        return _reversed_order(s)
    if num_clauses == 2 and s.chance(0.08):
        return _mixed_forms(s)
    clauses: list[str] = []
    actions: list[Action] = []
    for index in range(num_clauses):
        writers = _LAST_ORDERS if index == num_clauses - 1 else _ORDERS
        words, clause_actions = writers.draw(s.rng)(s)
        if len(actions) + len(clause_actions) > MAX_ACTIONS:
            break
        clauses.append(words)
        actions += clause_actions
    words = _numbered(clauses, s) if s.chance(0.015) else _linked(clauses, s)
    return Draft(words, actions, num_clauses=len(clauses))


def _mixed_forms(s: Speaker) -> Draft:
    """An order before a question, or a statement before an order."""
    if s.chance(0.5):
        words, actions = draw_order(s)[1]
        question, asked = _QUESTIONS.draw(s.rng)(s)
        link = s.pick(". ", ". ", ", ", " and ", ". And ", ", then ")
        return Draft(words + link + question, actions + asked, num_clauses=2)
    words, actions = _STATEMENTS.draw(s.rng)(s)
    order, ordered = draw_order(s)[1]
    link = s.pick(", and then ", " and then ", ". ", ". Then ", ", and ", " and ", ". And ")
    return Draft(words + link + order, actions + ordered, "statement", num_clauses=2)
