"""Stopping at once, and waiting."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import make_action
from bonsai_edge_train.robot_commands.clauses.templates import templates, write
from bonsai_edge_train.robot_commands.clauses.types import Clause
from bonsai_edge_train.robot_commands.speaker import Speaker

_STOP = templates(
    "14* stop; 4* halt; 4* freeze; 3* stop moving; 3* don't move; 2* do not move; 2* stop right there; 2* stop now;"
    "2* stop immediately; 2* stop at once; 2* emergency stop; 2* stay where you are; 2* stand still; 2* hold still;"
    "stop driving; stop it; stop everything; stop right now; stop there; stop where you are; stop what you're doing;"
    "stop what you are doing; don't move a muscle; don't move any further; don't you move; stop this instant;"
    "stop all motion; stop all movement; stop the robot; halt right there; freeze right there; come to a stop;"
    "stop here; come to a halt; come to a full stop; brake; hit the brakes; stop the motors; stop turning;"
    "stop rolling; stop going; halt immediately; halt now; keep still; stay still; stay exactly where you are;"
    "stay right where you are; e-stop; cease all movement; stop in your tracks; quit moving; stop spinning;"
    "do not move an inch; remain where you are; stop stop stop; stop stop; stop dead; stop your motion;"
    "stop your motors; make a stop; stop, stop, stop"
)
_WAIT = templates(
    "wait for me; 10* wait; 5* wait here; 4* hold on; 3* stay here; 3* pause; 2* stay; 2* hang on; 2* wait a moment;"
    "wait right here; stay right here; hold on a moment; wait for a moment; wait a bit; wait a while; stand by;"
    "pause for a moment; remain here; take a break; hang on a moment; pause here; hold on a bit; hold on for a bit;"
    "wait a little; wait for a bit; wait for a while; stay here for a while; stay here for a bit;"
    "wait a little while; wait up; just wait; just wait here; wait around here; stay for a moment;"
    "take a short break; rest a moment; pause a bit"
)
_WAIT_FOR = templates(
    "8* wait {time}; 8* wait for {time}; 4* wait here for {time}; 4* pause for {time}; 3* stay here for {time};"
    "2* hold on for {time}; pause {time}; stay for {time}; stand by for {time}; wait here {time}; hang on for {time};"
    "hold on {time}; take a break for {time}; stop and wait for {time}; rest for {time}; remain here for {time};"
    "wait about {time}; wait another {time}; stay right here for {time}; wait right here for {time}; idle for {time};"
    "give it {time}; give me {time}; just wait {time}; sleep for {time}; pause here for {time}"
)
_WAIT_AT = templates(
    "10* wait {there}; wait for me {there}; 5* stay {there}; 2* remain {there}; pause {there}; stand by {there};"
    "go on and wait {there}; keep waiting {there}; just wait {there}; hold on {there}; wait right {there}"
)
_WAIT_AT_FOR = templates(
    "3* wait {there} for {time}; 2* stay {there} for {time}; wait for {time} {there}; remain {there} for {time};"
    "pause {there} for {time}; wait {time} {there}; stand by {there} for {time}"
)
_WAIT_WORDS = templates(
    "one moment; just a moment; a moment; not yet, wait; i need you to wait; i want you to wait here;"
    "you can wait here; you should wait; you have to wait; i want you to stay here; you can stay here;"
    "time for a break"
)
_WAIT_WORDS_FOR = templates(
    "a pause of {time}; you can wait {time}; you should wait {time}; i need you to wait {time}; {time} break;"
    "{time} pause; i need {time}; you have to wait for {time}"
)


def stop(s: Speaker) -> Clause:
    """Stop at once."""
    return s.rng.choice(_STOP), [make_action("stop")]


def _location(s: Speaker) -> tuple[str, dict[str, str]]:
    there = s.there()
    if there is not None and s.chance(0.5):
        return "there", {"target": there}
    draw = s.rng.random()
    if draw < 0.08:
        where = s.pick("outside", "upstairs", "downstairs", "inside", "at home")
        return where, {"target": where.removeprefix("at ")}
    if draw < 0.18:
        relation_words, relation = s.relation()
        words, person = s.person()
        return f"{relation_words} {words}", {"relation": relation, "target": person}
    if draw < 0.5:
        in_room = s.chance(0.5)
        words, target = s.place(kind="room" if in_room else "spot")
        return f"{s.pick('in', 'in', 'at') if in_room else 'at'} {words}", {"target": target}
    return s.related_place() if s.chance(0.6) else s.location(relations=0)


def wait(s: Speaker) -> Clause:
    """Wait, perhaps for a time or at a place."""
    draw = s.rng.random()
    if draw < 0.25:
        return s.rng.choice(_WAIT), [make_action("wait")]
    if draw < 0.6:
        words, amount = s.duration()
        return write(s, _WAIT_FOR, time=words), [make_action("wait", **amount)]
    there, fields = _location(s)
    if draw < 0.85:
        return write(s, _WAIT_AT, there=there), [make_action("wait", **fields)]
    words, amount = s.duration()
    return write(s, _WAIT_AT_FOR, there=there, time=words), [make_action("wait", **fields, **amount)]


def wait_words(s: Speaker) -> Clause:
    """Wait, said without an imperative."""
    if s.chance(0.5):
        return s.rng.choice(_WAIT_WORDS), [make_action("wait")]
    words, amount = s.duration()
    return write(s, _WAIT_WORDS_FOR, time=words), [make_action("wait", **amount)]
