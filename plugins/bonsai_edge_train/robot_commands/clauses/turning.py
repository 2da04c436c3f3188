"""Turning the robot's own body."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import make_action
from bonsai_edge_train.robot_commands.clauses.templates import templates, write
from bonsai_edge_train.robot_commands.clauses.types import Clause
from bonsai_edge_train.robot_commands.speaker import Speaker

_VERBS = templates(
    "16* turn; 5* rotate; 3* spin; 2* pivot; swivel; turn yourself; rotate yourself; steer; spin yourself; swing;twist"
)
_AROUND = templates(
    "6* turn around; 2* turn round; 2* spin around; turn yourself around; make a u-turn; do a u-turn;"
    "do an about-face; face the other way; turn back around; turn the other way around; make a u turn; spin round;"
    "turn your body around; rotate around; turn around on the spot; do a u turn; swing around;"
    "turn to face the other way; pivot around"
)
_COUNTERCLOCKWISE = templates(
    "4* counterclockwise; 2* counter clockwise; 2* anticlockwise; counter-clockwise; anti-clockwise; anti clockwise"
)
_UNMEASURED = templates("3* a bit; 3* a little; 2* slightly; a little bit; a touch; a tad; a little more; a bit more")
_SIDE_TURN = templates(
    "4* turn {side}; 2* make a {side} turn; take a {side}; 2* take a {side} turn; hang a {side}; make a {side};"
    "do a {side} turn; go around to the {side}; turn off to the {side}; face {side}; turn your body {side}"
)
# Fractions of a turn with their degrees.
_FRACTIONS = (
    ("a quarter turn", 90), ("a quarter turn", 90), ("a quarter of a turn", 90), ("one quarter turn", 90),
    ("a half turn", 180), ("a half turn", 180), ("half a turn", 180), ("one half turn", 180), ("a full turn", 360),
    ("a full turn", 360), ("one full turn", 360), ("a complete turn", 360),
)  # fmt: skip
_TO_PLACE = templates(
    "3* turn to {place}; 3* turn towards {place}; 2* turn toward {place}; 8* face {place}; 2* turn to face {place};"
    "rotate to {place}; rotate towards {place}; rotate to face {place}; point yourself at {place};"
    "spin towards {place}; orient yourself towards {place}; orient yourself to {place}; swivel to {place};"
    "turn yourself to {place}; turn yourself towards {place}; turn in the direction of {place};"
    "turn your body to {place}; aim yourself at {place}; face towards {place}; face toward {place};"
    "spin to face {place}; pivot towards {place}; turn your face to {place}; rotate yourself towards {place};"
    "turn back to {place}; turn back towards {place}; align yourself with {place}; rotate toward {place};"
    "pivot to face {place}; turn to look towards {place}; swivel to face {place}"
)


def _side(s: Speaker) -> tuple[str, str]:
    """Draw a side as (words, direction)."""
    draw = s.rng.random()
    if draw < 0.45:
        return s.direction("left", "right")
    if draw < 0.75:
        side = s.pick("left", "right")
        return s.pick("to the ", "to the ", "to your ", "towards the ") + side, side
    if draw < 0.88:
        return "clockwise", "clockwise"
    return s.rng.choice(_COUNTERCLOCKWISE), "counterclockwise"


def _angle(s: Speaker) -> tuple[str, dict[str, int | float]]:
    draw = s.rng.random()
    if draw < 0.12:
        words, degrees = s.rng.choice(_FRACTIONS)
        return words, {"angle_deg": degrees}
    if draw < 0.15:
        words, degrees = s.number(range(30, 361, 30))
        return words, {"angle_deg": degrees}
    return s.angle()


def turn(s: Speaker) -> Clause:
    """Turn by a direction, an angle or both."""
    draw = s.rng.random()
    if draw < 0.12:
        return s.rng.choice(_AROUND), [make_action("turn", direction="around")]
    if draw < 0.2:
        return _make_a_turn(s)
    verb = s.rng.choice(_VERBS)
    if draw < 0.33:
        angle_words, angle = _angle(s)
        return f"{verb} {s.pick('', '', 'by ')}{angle_words}", [make_action("turn", **angle)]
    if draw < 0.42:
        side = s.pick("left", "right")
        return write(s, _SIDE_TURN, side=side), [make_action("turn", direction=side)]
    side_words, direction = _side(s)
    if draw < 0.52:
        return f"{verb} {side_words}", [make_action("turn", direction=direction)]
    if draw < 0.58:
        little = s.rng.choice(_UNMEASURED)
        text = f"{verb} {little} {side_words}" if s.chance(0.5) else f"{verb} {side_words} {little}"
        return text, [make_action("turn", direction=direction)]
    angle_words, angle = _angle(s)
    by = s.pick("", "", "", "by ")
    text = f"{verb} {by}{angle_words} {side_words}" if s.chance(0.4) else f"{verb} {side_words} {by}{angle_words}"
    return text, [make_action("turn", direction=direction, **angle)]


def _make_a_turn(s: Speaker) -> Clause:
    """Turn, said with "turn" as a noun."""
    verb = s.pick("make", "do", "do", "make", "perform", "take")
    draw = s.rng.random()
    if draw < 0.15:
        degrees = s.rng.choice((180, 360))
        return f"do a {degrees}", [make_action("turn", angle_deg=degrees)]
    if draw < 0.5:
        words, degrees = s.rng.choice(_FRACTIONS)
        words = words.replace("turn", s.pick("turn", "turn", "rotation", "spin"))
        angle: dict[str, int | float] = {"angle_deg": degrees}
    else:
        angle_words, angle = s.angle()
        words = f"a {angle_words.replace('degrees', 'degree')} {s.pick('turn', 'turn', 'rotation', 'spin')}"
    if s.chance(0.45):
        return f"{verb} {words}", [make_action("turn", **angle)]
    side_words, direction = _side(s)
    if side_words in ("left", "right"):
        side_words = f"to the {side_words}"
    return f"{verb} {words} {side_words}", [make_action("turn", direction=direction, **angle)]


def turn_to_place(s: Speaker) -> Clause:
    """Turn towards a place, a thing or a person, perhaps by an angle."""
    draw = s.rng.random()
    if draw < 0.6:
        words, target = s.place()
    elif draw < 0.75:
        words, target = s.thing()
    else:
        words, target = s.person()
    if s.chance(0.06):
        angle_words, angle = s.angle()
        text = f"{s.pick('turn', 'rotate')} {angle_words} {s.pick('towards', 'toward')} {words}"
        return text, [make_action("turn", target=target, **angle)]
    return write(s, _TO_PLACE, place=words), [make_action("turn", target=target)]


def turn_words(s: Speaker) -> Clause:
    """Turn, said without a verb."""
    draw = s.rng.random()
    side = s.pick("left", "right")
    if draw < 0.1:
        return side, [make_action("turn", direction=side)]
    if draw < 0.25:
        return f"{side} turn", [make_action("turn", direction=side)]
    side_words, direction = _side(s)
    if draw < 0.35:
        words, degrees = s.rng.choice(_FRACTIONS)
        return f"{words.removeprefix('a ')} {side_words}", [make_action("turn", direction=direction, angle_deg=degrees)]
    words, angle = s.angle()
    text = f"{words} {side_words}" if s.chance(0.4) else f"{side_words} {words}"
    return text, [make_action("turn", direction=direction, **angle)]
