"""What shall not be done: "don't open the window", "turn right, not left"."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import NOTHING_TO_DO, Action
from bonsai_edge_train.robot_commands.sequences import Draft, aside, draw_order, draw_self_contained, draw_sequence
from bonsai_edge_train.robot_commands.speaker import Speaker
from bonsai_edge_train.robot_commands.verbs import gerund, takes_base_verb

_NOT = (
    *("don't ",) * 14, *("do not ",) * 5, "never ", "please don't ", "please do not ", "you don't have to ",
    "you don't need to ", "no need to ", "there's no need to ", "i don't want you to ", "i don't need you to ",
    "you must not ", "you mustn't ", "you shouldn't ", "you should not ", "you can't ", "you may not ",
    "don't you dare ",
    "you better not ", "let's not ", "make sure not to ", "try not to ", "be careful not to ", "make sure you don't ",
    "just don't ", "whatever you do, don't ", "i told you not to ", "under no circumstances ", "don't ever ",
    "please never ", "i'd rather you didn't ", "it's not necessary to ", "no, don't ", "you needn't ",
)  # fmt: skip
_SHORT_NOT = ("don't ", "don't ", "don't ", "don't ", "do not ", "please don't ")
_BUT = (", ", ", ", ", but ", " but ", ", just ", ". ", ". ", ". Just ", ", instead ", ", rather ", "; ", ", only ",
        ". Instead, ", ", please ", " ", ", but rather ", ", you should ", ". Please ")  # fmt: skip
_AND_NOT = (" but don't ", " but don't ", ", but don't ", ", but don't ", " and don't ", ", and don't ", ", don't ",
            ". Don't ", ". But don't ", " but do not ", ", but do not ", ". And don't ", " but please don't ",
            " but make sure not to ", " but be careful not to ", " and be careful not to ", ", just don't ",
            " but never ", " but try not to ", ", and please don't ", ", no need to ", " and do not ")  # fmt: skip
_HARM = (
    "spill it", "spill anything", "spill any", "drop it", "drop anything", "break it", "break anything",
    "touch anything",
    "touch anything else", "touch it", "be too loud", "make any noise", "make a mess", "wake the baby",
    "wake anyone up",
    "hit the wall", "hit anything", "hit anyone", "bump into anything", "bump into the table", "rush", "hurry",
    "run me over", "fall", "scratch it", "damage it", "squeeze it too hard", "hurt anyone", "go too fast", "be late",
    "take too long", "knock anything over", "trip", "forget", "get stuck", "scare the cat", "step on the cat",
    "slam it", "shake it", "tip it over", "lose it", "run into the chair", "disturb anyone", "crash", "crush it",
    "get it wet", "let anyone in", "let the cat out", "go near the stairs", "wake up the kids", "knock over the vase",
)  # fmt: skip
_WITHOUT = (
    " without spilling it", " without spilling anything", " without touching anything", " without making noise",
    " without waking the baby", " without dropping it", " without breaking it", " without hitting the wall",
    " without bumping into anything", " without touching the wall", " without any noise", " without stopping",
    " without rushing", " without hurting anyone", " without scratching the floor", " without making a mess",
)  # fmt: skip
_NOTHING = (
    "don't stop", "don't stop", "do not stop", "please don't stop", "don't worry", "don't worry about it",
    "don't do that",
    "don't do it", "don't do anything", "do nothing", "don't bother", "no, don't", "don't", "please don't",
    "don't stop yet",
    "don't touch that", "don't touch it", "don't touch anything", "don't drop it", "don't break it", "don't hurt me",
    "don't forget", "don't hurry", "don't rush", "don't be silly", "don't spill it", "don't fall", "don't stop now",
    "don't stop driving", "don't listen to him", "do not do anything", "don't worry, it's fine", "no need to hurry",
    "never do that again", "don't do that again", "i don't need anything", "nothing, thanks", "nothing right now",
    "don't touch the stove", "don't scare the cat", "don't wake the baby", "don't hit the wall",
    "don't step on the cat",
)  # fmt: skip
_OPPOSITES = {"left": "right", "right": "left", "forward": "backward", "backward": "forward", "up": "down",
"down": "up",
              "clockwise": "counterclockwise", "counterclockwise": "clockwise"}  # fmt: skip
_KINDS = ("red", "blue", "green", "black", "white", "yellow", "big", "small", "large", "old", "new", "empty")
_MAX_TRIES = 20


def write_negation(s: Speaker) -> Draft:
    """Draw a sentence that says what not to do."""
    kind = s.rng.random()
    if kind < 0.26:
        draft = _nothing(s)
    elif kind < 0.48:
        draft = _not_this_but_that(s)
    elif kind < 0.6:
        draft = _instead_of(s)
    elif kind < 0.82:
        draft = _and_not(s)
    else:
        draft = _contrast(s)
    draft.category = "negation"
    return draft


def _forbidden(s: Speaker) -> str:
    """Draw an order that "don't" can be put before; never one to stop, which "don't move" already is."""
    for _ in range(_MAX_TRIES):
        words, actions = draw_order(aside(s))[1]
        if all(action["action"] not in ("stop", "wait") for action in actions) and can_be_negated(words):
            return words
    return "open the door"


def can_be_negated(clause: str) -> bool:
    """Tell whether "don't" before a clause forbids exactly that clause."""
    verb = clause.split(" ", 1)[0]
    return takes_base_verb(clause) and clause != "move" and (gerund(verb) is not None or verb in ("make", "do", "help"))


def _nothing(s: Speaker) -> Draft:
    if s.chance(0.2):
        return Draft(s.rng.choice(_NOTHING), [], "statement", reply=NOTHING_TO_DO)
    words = s.rng.choice(_NOT) + _forbidden(aside(s))
    if s.chance(0.12):
        words += s.pick(" or ", ", and don't ", " and don't ") + _forbidden(aside(s))
    return Draft(words, [], "statement", reply=NOTHING_TO_DO)


def _not_this_but_that(s: Speaker) -> Draft:
    """Forbid one thing and order another: "don't turn left, turn right"."""
    for _ in range(_MAX_TRIES):
        writer, (wrong, wrong_actions) = draw_order(aside(s))
        if wrong_actions[0]["action"] in ("stop", "wait") or not can_be_negated(wrong):
            continue
        words, actions = draw_self_contained(s, writer if s.chance(0.6) else None)
        return Draft(s.rng.choice(_SHORT_NOT) + wrong + s.rng.choice(_BUT) + words, actions, "statement", 2)
    return _and_not(s)


def _instead_of(s: Speaker) -> Draft:
    for _ in range(_MAX_TRIES):
        writer, (wrong, wrong_actions) = draw_order(aside(s))
        doing = gerund(wrong)
        if doing is None or wrong_actions[0]["action"] == "stop":
            continue
        words, actions = draw_self_contained(s, writer if s.chance(0.5) else None)
        if s.chance(0.6):
            return Draft(
                f"{s.pick('instead of ', 'instead of ', 'rather than ')}{doing}, {words}", actions, "statement", 2
            )
        return Draft(f"{words} {s.pick('instead of', 'instead of', 'rather than')} {doing}", actions)
    return _and_not(s)


def _and_not(s: Speaker) -> Draft:
    draft = draw_sequence(aside(s), 2) if s.chance(0.2) else Draft(*draw_order(aside(s))[1])
    while draft.ends_with_text():
        draft = Draft(*draw_order(aside(s))[1])
    if s.chance(0.12):
        draft.words += s.rng.choice(_WITHOUT)
    elif s.chance(0.6):
        draft.words += s.rng.choice(_AND_NOT) + s.rng.choice(_HARM)
    else:
        draft.words += s.rng.choice(_AND_NOT) + _forbidden(aside(s))
    return draft


def _contrast(s: Speaker) -> Draft:
    """Name the wrong thing beside the right one: "turn right, not left", "not the red one, the blue one"."""
    for _ in range(_MAX_TRIES):
        words, actions = draw_order(aside(s))[1]
        contrasted = contrast(s, words, actions[-1])
        if contrasted is not None:
            return Draft(contrasted, actions)
    return _not_this_but_that(s)


def contrast(s: Speaker, words: str, action: Action) -> str | None:
    """Add to a clause what is not meant; returns None if the clause does not end with something to contrast."""
    last = words.rsplit(" ", 1)[-1]
    if last in _OPPOSITES and action.get("direction") == last:
        return words + s.pick(", not ", " and not ", " not ", ", and not ") + _OPPOSITES[last]
    if last in ("on", "off") and action.get("state") == last:
        return f"{words}, not {'off' if last == 'on' else 'on'}"
    value = str(action.get("target") or action.get("object") or "")
    if not value or not words.endswith(f"the {value}") or action["action"] == "say":
        return None
    if action.get("target") == value:
        other = aside(s).place(rooms_only=True)[0]
        return words + s.pick(", not ", ", not ", " and not ", " not ", ", but not ") + other
    kind, _, noun = value.partition(" ")
    if noun and s.chance(0.5):
        other = s.pick(*(each for each in _KINDS if each != kind))
        if s.chance(0.5) and kind in _KINDS:
            return f"{words[: -len(value)]}{noun}, not the {other} one, the {kind} one"
        return words + s.pick(", not the ", " not the ", " and not the ", ", but not the ") + f"{other} one"
    return words + s.pick(", not ", " and not ", ", but not ", " not ") + f"the {aside(s).noun_phrase()}"
