"""Opening, pushing, switching and cleaning things."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import make_action
from bonsai_edge_train.robot_commands.amounts import Amount
from bonsai_edge_train.robot_commands.clauses.templates import templates, write
from bonsai_edge_train.robot_commands.clauses.types import Clause, ClauseWriter
from bonsai_edge_train.robot_commands.lexicon.handled import APPLIANCES, BUTTONS, CLEANABLES, OPENABLES, PUSHABLES
from bonsai_edge_train.robot_commands.speaker import PRONOUNS, Speaker

_OPEN = templates(
    "12* open {x}; 2* open up {x}; pop open {x}; slide open {x}; swing open {x}; open {x} up; go open {x}; go and "
    "open {x}; open {x} wide; get {x} open"
)
_OPEN_IT = templates("12* open {x}; 2* open {x} up; go open {x}; open {x} wide; pop {x} open; slide {x} open")
_CLOSE = templates(
    "8* close {x}; 6* shut {x}; close up {x}; go close {x}; go and shut {x}; slide {x} shut; close {x} up; swing {x} "
    "closed; pull {x} closed; go and close {x}; push {x} shut"
)
_WANT_OPEN = templates(
    "I want {x} open; I need {x} open; I need {x} opened; I'd like {x} open; {x} should be open; I would like to have "
    "{x} open; {x} needs to be opened"
)
_WANT_CLOSED = templates(
    "I want {x} closed; I need {x} closed; I'd like {x} shut; I need {x} shut; {x} should be closed; {x} needs to be "
    "closed"
)
_SWITCH = templates(
    "5* turn {state} {x}; 5* turn {x} {state}; 3* switch {state} {x}; 3* switch {x} {state}; power {state} {x}; power "
    "{x} {state}; flip {x} {state}; flip {state} {x}; go turn {state} {x}; set {x} to {state}"
)
_SWITCH_IT = templates(
    "5* turn {x} {state}; 4* switch {x} {state}; power {x} {state}; flip {x} {state}; go turn {x} {state}"
)
_SWITCH_ON = templates(
    "activate {x}; power up {x}; fire up {x}; turn {x} back on; switch {x} back on; switch {x} on again; put {x} on; "
    "start up {x}"
)
_SWITCH_OFF = templates(
    "3* shut off {x}; 2* shut {x} off; kill {x}; deactivate {x}; power down {x}; turn {x} back off; shut {x} down; "
    "shut down {x}"
)
_STATE = templates("4* {x} {state}; 2* {x} {state} please")
_STATE_WORDS = templates(
    "I want {x} {state}; I need {x} {state}; I'd like {x} {state}; {x} needs to be {state}; {x} should be {state}; I "
    "want {x} turned {state}; I need {x} switched {state}"
)
_CLEAN = templates(
    "8* clean {x}; 3* clean up {x}; 4* wipe {x}; 3* wipe down {x}; wipe off {x}; wipe {x} down; 3* vacuum {x}; 3* mop "
    "{x}; mop up {x}; 3* sweep {x}; sweep up {x}; 2* dust {x}; dust off {x}; 2* scrub {x}; polish {x}; 2* wash {x}; "
    "disinfect {x}; sanitize {x}; sterilize {x}; hoover {x}; rinse {x}; go clean {x}; go and mop {x}; give {x} a "
    "wipe; give {x} a good scrub; give {x} a clean; scrub down {x}; wash down {x}; clean {x} up; start cleaning {x}; "
    "do some cleaning in {x}; tidy up {x}; deep clean {x}; give {x} a quick wipe; clean off {x}; finish cleaning {x}; "
    "wipe {x} clean; get {x} clean; run the vacuum over {x}"
)
_CLEAN_IT = templates(
    "5* clean {x}; 2* clean {x} up; 3* wipe {x}; wipe {x} down; scrub {x}; wash {x}; dust {x}; vacuum {x}; mop {x}"
)
_WANT_CLEAN = templates(
    "{x} needs cleaning; {x} needs to be cleaned; I want {x} cleaned; I need {x} cleaned; I'd like you to mop {x}; I "
    "need {x} wiped down; {x} needs a wipe; {x} has to be vacuumed; {x} needs mopping; {x} should be swept; I need "
    "you to wipe {x}"
)
_PUSH_VERBS = ("push", "push", "push", "push", "shove", "nudge")
_PULL_VERBS = ("pull", "pull", "pull", "drag", "drag", "tug", "tow")
_PRESS = templates(
    "6* press {x}; 3* push {x}; 2* hit {x}; press down {x}; press on {x}; push down {x}; tap {x}; go press {x}; push "
    "on {x}; go push {x}; give {x} a push"
)
_TOWARDS = (
    "to",
    "to",
    "to",
    "to",
    "towards",
    "toward",
    "into",
    "over to",
    "against",
    "up to",
    "all the way to",
    "back to",
)
_PUSH_DIRECTIONS = {
    "forward": ("forward", "forward", "forwards", "ahead", "straight ahead"),
    "backward": ("backward", "backwards", "back", "back"),
    "left": ("left", "to the left", "to the left", "to your left"),
    "right": ("right", "to the right", "to the right", "to your right"),
    "up": ("up", "up", "upward", "upwards"),
    "down": ("down", "down", "downward", "downwards"),
}


def _with_location(s: Speaker, words: str, share: float) -> str:
    """Say where a thing is, which its action has no field for."""
    if words in PRONOUNS or not s.chance(share):
        return words
    where, _ = s.location(relations=0.35)
    return f"{words} {where}"


def _perhaps_two(s: Speaker, nouns: tuple[str, ...]) -> tuple[str, list[str]]:
    """Draw an object, or two of them that share a verb."""
    words, item = s.object(nouns)
    if words in PRONOUNS or not s.chance(0.06):
        return words, [item]
    other_words, other = s.thing(nouns)
    s.last_object = None
    return f"{words} {s.pick('and', 'and', 'and also')} {other_words}", [item, other]


def open_thing(s: Speaker) -> Clause:
    """Open something."""
    words, items = _perhaps_two(s, OPENABLES)
    if len(items) == 1:
        s.last_opened = items[0]
        words = _with_location(s, words, 0.12)
    text = write(s, _OPEN_IT if words in PRONOUNS else _OPEN, x=words)
    if s.chance(0.04) and not text.endswith((" up", " wide", " open")):
        text += s.pick(" a bit", " a little", " a little bit", " all the way")
    return text, [make_action("open", object=item) for item in items]


def close_thing(s: Speaker) -> Clause:
    """Close something, perhaps what was opened before."""
    opened = s.last_opened
    if opened is not None and s.chance(0.6):
        text = s.pick("close", "close", "shut") + " "
        text += s.pick("it", "it", "that") if opened == s.last_object else f"the {opened}"
        return text + s.pick("", "", " again", " afterwards"), [make_action("close", object=opened)]
    words, items = _perhaps_two(s, OPENABLES)
    if len(items) == 1:
        words = _with_location(s, words, 0.12)
    text = f"{s.pick('close', 'shut')} {words}" if words in PRONOUNS else write(s, _CLOSE, x=words)
    return text, [make_action("close", object=item) for item in items]


def want_open_or_closed(s: Speaker) -> Clause:
    """Say that something should be open or closed."""
    words, item = s.thing(OPENABLES)
    action, phrasings = ("open", _WANT_OPEN) if s.chance(0.5) else ("close", _WANT_CLOSED)
    return write(s, phrasings, x=words), [make_action(action, object=item)]


def press(s: Speaker) -> Clause:
    """Press a button or the like."""
    words, item = s.object(BUTTONS)
    phrasings = ("press {x}", "push {x}", "press {x}", "press {x} down") if words in PRONOUNS else _PRESS
    text = write(s, phrasings, x=_with_location(s, words, 0.15))
    if text.startswith(("press down", "push down")) or text.endswith(" down"):
        return text, [make_action("push", object=item, direction="down")]
    return text, [make_action("push", object=item)]


def push_or_pull(s: Speaker) -> Clause:
    """Push or pull something, perhaps to a place or person, in a direction, for an amount."""
    words, item = s.object(PUSHABLES)
    name, verbs = s.rng.choice((("push", _PUSH_VERBS), ("pull", _PULL_VERBS), ("pull", _PULL_VERBS)))
    verb = s.pick(*verbs)
    draw = s.rng.random()
    if draw < 0.35:
        if s.chance(0.06):
            bare = s.pick("upstairs", "outside", "downstairs")
            return f"{verb} {words} {bare}", [make_action(name, object=item, target=bare)]
        goal, target = s.person() if s.chance(0.15) else s.place()
        s.last_place = target if target != "user" else s.last_place
        return f"{verb} {words} {s.pick(*_TOWARDS)} {goal}", [make_action(name, object=item, target=target)]
    if draw < 0.75:
        return _push_in_direction(s, name, verb, words, item)
    if draw < 0.8:
        amount_words, amount = _amount(s)
        return f"{verb} {words} {amount_words}", [make_action(name, object=item, **amount)]
    prefix = s.pick("", "", "", "", "", "go ") if verb in ("push", "pull") else ""
    verb += " on" if verb in ("pull", "tug") and s.chance(0.15) else ""
    return f"{prefix}{verb} {words}", [make_action(name, object=item)]


def _push_in_direction(s: Speaker, name: str, verb: str, words: str, item: str) -> Clause:
    side = s.pick("forward", "forward", "left", "left", "right", "right", "backward", "backward")
    if verb in ("push", "pull") and s.chance(0.2):
        side = s.pick("up", "down")
    if name == "pull" and side == "forward":
        side = "backward"
    if side in ("left", "right"):
        words_of_side, side = s.direction("left", "right")
        if words_of_side == side:
            words_of_side = s.pick(*_PUSH_DIRECTIONS[side])
    else:
        words_of_side = s.pick(*_PUSH_DIRECTIONS[side])
    if s.chance(0.07):
        words_of_side = f"{s.pick('a bit', 'a little', 'slightly', 'a little bit')} {words_of_side}"
        return f"{verb} {words} {words_of_side}", [make_action(name, object=item, direction=side)]
    if side in ("up", "down") or s.chance(0.4):
        return f"{verb} {words} {words_of_side}", [make_action(name, object=item, direction=side)]
    amount_words, amount = _amount(s)
    if s.chance(0.35) and not amount_words.startswith(("for", "by")):
        text = f"{verb} {words} {amount_words} {words_of_side}"
    else:
        text = f"{verb} {words} {words_of_side} {amount_words}"
    return text, [make_action(name, object=item, direction=side, **amount)]


def _amount(s: Speaker) -> Amount:
    """Draw how far or how long to push, with its preposition."""
    if s.chance(0.85):
        words, amount = s.distance()
        return s.pick("", "", "", "by ", "for ") + words, amount
    words, seconds = s.number(range(2, 31))
    return f"for {words} {s.pick('seconds', 'seconds', 'sec', 's')}", {"duration_s": seconds}


def _switched(s: Speaker, words: str) -> tuple[str, dict[str, str]]:
    """Say in which place a thing is switched."""
    if words in PRONOUNS or not s.chance(0.3):
        return "", {}
    if s.chance(0.65):
        where, target = s.place(rooms_only=True)
        return f" {s.pick('in', 'in', 'in', 'in', 'inside')} {where}", {"target": target}
    where, fields = s.location(relations=0)
    return f" {where}", fields


def switch(s: Speaker) -> Clause:
    """Switch something on or off, perhaps in a place."""
    words, items = _perhaps_two(s, APPLIANCES)
    state = s.pick("on", "off")
    where, fields = _switched(s, words) if len(items) == 1 else ("", {})
    phrasings = _SWITCH_IT if words in PRONOUNS else _SWITCH
    if s.chance(0.2) and words not in PRONOUNS:
        phrasings = _SWITCH_ON if state == "on" else _SWITCH_OFF
    actions = [make_action("switch", object=item, state=state, **fields) for item in items]
    if where and s.chance(0.3):
        return write(s, phrasings, x=words + where, state=state), actions
    return write(s, phrasings, x=words, state=state) + where, actions


def switch_words(s: Speaker) -> Clause:
    """Say in which state something should be: "lights off in the hall"."""
    words, item = s.thing(APPLIANCES)
    state = s.pick("on", "off")
    where, fields = _switched(s, words)
    action = make_action("switch", object=item, state=state, **fields)
    if s.chance(0.5):
        return write(s, _STATE, x=item, state=state) + where, [action]
    return write(s, _STATE_WORDS, x=words, state=state) + where, [action]


def clean(s: Speaker) -> Clause:
    """Clean a thing or a place."""
    if s.chance(0.25):
        words, target = s.place()
        targets = [target]
    else:
        words, targets = _perhaps_two(s, CLEANABLES)
    return write(s, _CLEAN_IT if words in PRONOUNS else _CLEAN, x=words), [
        make_action("clean", target=target) for target in targets
    ]


def want_clean(s: Speaker) -> Clause:
    """Say that something should be clean."""
    words, target = s.thing(CLEANABLES)
    return write(s, _WANT_CLEAN, x=words), [make_action("clean", target=target)]


ORDERS: dict[ClauseWriter, int] = {open_thing: 4, close_thing: 4, press: 3, push_or_pull: 7, switch: 5, clean: 4}
STATEMENTS: dict[ClauseWriter, int] = {want_open_or_closed: 1, switch_words: 2, want_clean: 1}
