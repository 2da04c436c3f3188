"""Moving straight on, back or sideways, by a distance or for a time."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import make_action
from bonsai_edge_train.robot_commands.clauses.templates import templates
from bonsai_edge_train.robot_commands.clauses.turning import turn_words
from bonsai_edge_train.robot_commands.clauses.types import Clause
from bonsai_edge_train.robot_commands.speaker import Speaker

# Each direction with its adverbs.
_ADVERBS = {
    "forward": templates("5* forward; 2* forwards; 3* ahead; 3* straight ahead; 3* straight; straight forward"),
    "backward": templates("4* backward; 3* backwards; 5* back; in reverse; straight back"),
    "left": templates("4* left; 3* to the left; 2* to your left; sideways to the left; leftwards; over to the left"),
    "right": templates(
        "4* right; 3* to the right; 2* to your right; sideways to the right; rightwards; over to the right"
    ),
    "up": templates("2* up; upwards; upward"),
    "down": templates("2* down; downwards; downward"),
}
_DIRECTIONS = templates("4* forward; 4* backward; 3* left; 3* right; up; down")
_MOVE_VERBS = templates(
    "10* move; 8* go; 7* drive; 3* roll; 2* walk; 2* step; head; travel; slide; scoot; inch; creep; shift; run;"
    "crawl; keep going; move yourself; nudge yourself; start moving; keep moving; continue; proceed; scooch; ease;"
    "budge"
)
_WHOLE_VERBS = {
    "forward": templates(
        "3* advance; go on ahead; drive on straight; keep going straight; move on ahead; come forward"
    ),
    "backward": templates(
        "8* back up; 6* reverse; 2* back off; back away; drive in reverse; go in reverse; retreat; back yourself up"
    ),
    "left": templates("sidestep left; strafe left; sidestep to the left; scoot over to the left; step to the left"),
    "right": templates(
        "sidestep right; strafe right; sidestep to the right; scoot over to the right; step to the right"
    ),
}
_UNMEASURED = templates(
    "4* a bit; 3* a little; 2* a little bit; slightly; a touch; a tad; some more; a little more; a bit more;"
    "a bit further"
)


def _seconds(s: Speaker) -> tuple[str, dict[str, int | float]]:
    while True:
        words, amount = s.duration()
        if "duration_s" in amount:
            return words, amount


def _move_words(s: Speaker) -> tuple[str, str, str]:
    """Draw (verb, adverb, direction); the adverb may be empty."""
    if s.chance(0.3):
        pair = ("left", "right") if s.chance(0.4) else ("forward", "backward")
        adverb, direction = s.direction(*pair)
        return s.rng.choice(_MOVE_VERBS), adverb, direction
    direction = s.rng.choice(_DIRECTIONS)
    if direction in _WHOLE_VERBS and s.chance(0.45 if direction == "backward" else 0.1):
        return s.rng.choice(_WHOLE_VERBS[direction]), "", direction
    return s.rng.choice(_MOVE_VERBS), s.rng.choice(_ADVERBS[direction]), direction


def move(s: Speaker) -> Clause:
    """Drive straight on, back or sideways, perhaps for a distance or a time."""
    verb, adverb, direction = _move_words(s)
    amount: dict[str, int | float] = {}
    parts: tuple[str, ...] = (verb, adverb)
    draw = s.rng.random()
    if draw < 0.6:
        words, amount = s.distance()
        parts = s.rng.choice((
            (verb, adverb, words), (verb, adverb, words), (verb, adverb, words), (verb, adverb, "by", words),
            (verb, adverb, "for", words), (verb, words, adverb), (verb, words, adverb), (verb, adverb, "about", words),
            (verb, "another", words, adverb), (verb, adverb, "another", words),
        ))  # fmt: skip
    elif draw < 0.75:
        words, amount = _seconds(s)
        parts = (verb, adverb, "for", words)
    elif draw < 0.87:
        words = s.rng.choice(_UNMEASURED)
        parts = (verb, words, adverb) if s.chance(0.5) else (verb, adverb, words)
    return " ".join(part for part in parts if part), [make_action("move", direction=direction, **amount)]


def move_words(s: Speaker) -> Clause:
    """Move, said without a verb."""
    direction = s.rng.choice(_DIRECTIONS)
    adverb = s.rng.choice(_ADVERBS[direction])
    draw = s.rng.random()
    if draw < 0.12 and direction in ("forward", "backward"):
        return adverb, [make_action("move", direction=direction)]
    if draw < 0.3:
        words = s.rng.choice(_UNMEASURED)
        side = f"to the {direction}" if direction in ("left", "right") else adverb
        return (f"{words} {side}" if s.chance(0.6) else f"{side} {words}"), [make_action("move", direction=direction)]
    if draw < 0.45:
        words, amount = _seconds(s)
        return f"{adverb} for {words}", [make_action("move", direction=direction, **amount)]
    words, amount = s.distance()
    text = f"{words} {adverb}" if s.chance(0.4) else f"{adverb} {words}"
    return text, [make_action("move", direction=direction, **amount)]


def route(s: Speaker) -> Clause:
    """Drive a short route told without verbs: "forward two meters, left 90 degrees"."""
    legs = [s.rng.choice((move_words, move_words, turn_words))(s) for _ in range(s.rng.choice((2, 2, 3)))]
    link = s.pick(", ", " then ", ", then ", " and ", " and then ", ". ")
    return link.join(words for words, _ in legs), [action for _, actions in legs for action in actions]
