"""What speakers need, want or point at, without an imperative."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import make_action
from bonsai_edge_train.robot_commands.clauses.carrying import where_from
from bonsai_edge_train.robot_commands.clauses.templates import templates, write
from bonsai_edge_train.robot_commands.clauses.types import Clause, ClauseWriter
from bonsai_edge_train.robot_commands.lexicon.handled import APPLIANCES, OPENABLES, TOOLS_ASKED_FOR, WANTED
from bonsai_edge_train.robot_commands.speaker import Speaker

_ASK = templates(
    "can I have {x}; could I have {x}; may I have {x}; can you hand me {x}; could I please have {x}; can I please "
    "have {x}; would you pass me {x}; can you pass {x}; could you pass {x} over; can I have {x} back; will you give "
    "me {x}; any chance you could hand me {x}"
)
_NEED = templates(
    "5* I need {x}; 3* I want {x}; I need you to get me {x}; I need you to bring me {x}; I want you to fetch {x}; I "
    "would like you to bring me {x}; I'd like you to fetch me {x}; we need {x}; I could use {x}; I really need {x}"
)
_GET = templates(
    "can you get me {x}; could you get me {x}; could you bring me {x}; would you bring me {x}; can I get {x}; could I "
    "get {x}; how about you bring me {x}; would you be so kind as to bring me {x}"
)
_NEEDED = templates(
    "3* {p} needs {x}; {p} wants {x}; {x} should go to {p}; {p} is waiting for {x}; {p} needs you to bring {x}; {x} "
    "is for {p}"
)
_BELONGS = templates(
    "2* {x} needs to go {y}; {x} has to go {y}; I need {x} taken {y}; I need {x} delivered {y}; I want {x} moved {y}; "
    "{x} should be taken {y}; {x} has to be brought {y}; we need {x} brought {y}; {x} must be delivered {y}"
)
_POINTED_OUT = ("{x}, {order}", "{x}, {order}", "{x} {order}", "there's {x}, {order}", "{x}: {order}")


def ask_for(s: Speaker) -> Clause:
    """Ask to be handed something."""
    words, item = s.thing(TOOLS_ASKED_FOR if s.chance(0.5) else ())
    return write(s, _ASK, x=words), [make_action("give", object=item, target="user")]


def ask_for_words(s: Speaker) -> Clause:
    """Name what one wants to be handed: "the small wrench please"."""
    words, item = s.thing(TOOLS_ASKED_FOR if s.chance(0.5) else ())
    text = s.pick(f"{words} please", f"{words} please", f"pass {words}", f"pass {words} please", f"{words} to me")
    return text, [make_action("give", object=item, target="user")]


def get_question(s: Speaker) -> Clause:
    """Ask to be brought something."""
    words, item = s.thing(WANTED if s.chance(0.5) else ())
    return write(s, _GET, x=words), [make_action("pick", object=item), make_action("give", object=item, target="user")]


def need(s: Speaker) -> Clause:
    """Say what one needs, perhaps from a place."""
    words, item = s.thing(WANTED if s.chance(0.5) else ())
    source: dict[str, str] = {}
    if s.chance(0.2):
        where, source = where_from(s)
        words = f"{words} {where}"
    return write(s, _NEED, x=words), [
        make_action("pick", object=item, **source), make_action("give", object=item, target="user"),
    ]  # fmt: skip


def needed(s: Speaker) -> Clause:
    """Say what somebody else needs, or where something has to go."""
    words, item = s.thing()
    pick_it = make_action("pick", object=item)
    if s.chance(0.4):
        person_words, person = s.other_person()
        return write(s, _NEEDED[:-2], x=words, p=person_words), [
            pick_it,
            make_action("give", object=item, target=person),
        ]
    goal, target = s.destination()
    return write(s, _BELONGS, x=words, y=goal), [pick_it, make_action("place", object=item, target=target)]


def pointed_out(s: Speaker) -> Clause:
    """Name a thing first and then say what to do with it: "the red cup on the table, pick it up"."""
    draw = s.rng.random()
    words, item = s.thing(OPENABLES if draw < 0.3 else APPLIANCES if draw < 0.5 else ())
    it = s.pronoun(item)
    if draw < 0.3:
        name, verb = s.rng.choice((("open", "open"), ("close", "close"), ("close", "shut")))
        return s.rng.choice(_POINTED_OUT).format(x=words, order=f"{verb} {it}"), [make_action(name, object=item)]
    if draw < 0.5:
        state = s.pick("on", "off")
        order = f"{s.pick('turn', 'switch')} {it} {state}"
        return s.rng.choice(_POINTED_OUT).format(x=words, order=order), [
            make_action("switch", object=item, state=state)
        ]
    where, source = where_from(s) if s.chance(0.5) else ("", {})
    if where.startswith("from"):
        where, source = "", {}
    order = s.pick(f"pick {it} up", f"pick {it} up", f"grab {it}", f"take {it}")
    text = s.rng.choice(_POINTED_OUT).format(x=f"{words} {where}".strip(), order=order)
    return text, [make_action("pick", object=item, **source)]


QUESTIONS: dict[ClauseWriter, int] = {ask_for: 2, get_question: 1}
STATEMENTS: dict[ClauseWriter, int] = {need: 3, needed: 1, ask_for_words: 1, pointed_out: 1}
