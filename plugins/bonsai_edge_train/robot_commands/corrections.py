"""Sentences in which the speaker thinks better of it: only what is meant in the end is an action."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.actions import NOTHING_TO_DO, Action
from bonsai_edge_train.robot_commands.sequences import (
    Draft,
    aside,
    draw_order,
    draw_self_contained,
    draw_sequence,
    draw_single,
)
from bonsai_edge_train.robot_commands.speaker import Speaker

_INSTEAD = (
    ", no, ", ", no, ", ", no wait, ", ", no wait, ", " no wait ", ", wait, ", ", wait, no, ", ", actually, ",
    ", actually ", " actually no ", ", actually no, ", ", sorry, ", ", sorry, i meant ", ", sorry i mean ", ", i mean ",
    ", i mean, ", ", i meant ", ", scratch that, ", ". Scratch that, ", ", oh no, ", ", no no, ", ". No, ",
    ". No wait, ",
    ". Actually, ", "... no, ", "... no wait, ", "... actually, ", ", or rather ", ", or rather, ", ", hang on, ",
    ", forget that, ", ", no forget it, ", ". Forget that, ", ", never mind that, ", ", correction, ", ". Correction: ",
    ", no sorry, ", ", oops, ", ", oops, i meant ", ", my mistake, ", ", better ", ", on second thought, ",
    ". On second thought, ", ", no, instead ", ", cancel that, ", ". Cancel that, ", ", that's wrong, ",
    ", strike that, ",
    ", no don't, ", ", wait, don't do that, ", ", i changed my mind, ", ". I changed my mind, ", ", ah no, ",
    ", um no, ", ", well, actually ", ", what i meant was ", ", no, i want you to ", ", no, please ", ", no, just ",
    ". Oh wait, ", ", oh wait, ", ", let me rephrase, ", ", no that's wrong, ", ", no, better ", ", ignore that, ",
    ", disregard that, ", ", undo that, ", ", hmm no, ", " no ", " no wait ", " i mean ", " sorry ", " wait no ",
)  # fmt: skip
_ENDINGS_OF_NOTHING = (
    ", never mind", ", actually never mind", ", no, never mind", ". Never mind", "... never mind", ", nevermind",
    ", forget it", ", no forget it", ", actually forget it", ". Forget it", ", oh forget it", ", actually, don't",
    ", no, don't", ", no don't do that", ", actually no", ", cancel that", ". Cancel that", ", no, cancel",
    ", scratch that", ", wait, no", ", on second thought, don't", ", on second thought never mind",
    ", i changed my mind",
    ", oh never mind", ", ah forget about it", ", no leave it", ", ignore that", ", don't bother", ", no, it's fine",
    ", disregard that", ". Oh, never mind", ". No, forget that", ". Actually, never mind, i'll do it myself",
    ", never mind, i'll do it", ", forget i said that", ", sorry, never mind", ", um, never mind", ", wait, never mind",
    ", cancel", ", abort", ", actually you don't have to", ", no need", ", actually there's no need",
    ", i take that back",
    ", never mind, i got it", ", no wait, don't", ", it's okay, i have it", ", forget what i said", " never mind",
)  # fmt: skip
_NOTHING = (
    "never mind", "never mind", "nevermind", "forget it", "forget about it", "forget that", "cancel that", "cancel",
    "scratch that", "ignore that", "disregard that", "no, never mind", "oh, never mind", "actually, never mind",
    "forget what i said", "i changed my mind", "cancel the last command", "don't bother", "no need", "ignore me",
    "disregard my last command", "sorry, never mind", "forget i said anything", "oh forget it", "cancel my order",
)  # fmt: skip
_MAKE_THAT = (", make that ", ", make that ", ", make it ", ", no, make that ", ", no, make it ",
", actually make that ",
              ", no, ", ", sorry, ", ", i mean ", ", sorry, i meant ", ", no wait, ", ", or rather ", "... no, ",
              ". Make that ", ". No, make it ", ", actually ", ", let's say ", ", wait, ")  # fmt: skip
_MAX_TRIES = 30


def write_correction(s: Speaker) -> Draft:
    """Draw a sentence with a correction."""
    kind = s.rng.random()
    if kind < 0.45:
        draft = _corrected_in_place(s)
    elif kind < 0.67:
        draft = _replaced_clause(s)
    elif kind < 0.78:
        draft = _other_amount(s)
    elif kind < 0.97:
        draft = _withdrawn(s)
    else:
        draft = Draft(s.rng.choice(_NOTHING), [], "statement", reply=NOTHING_TO_DO)
    draft.category = "corrections"
    return draft


def _corrected_in_place(s: Speaker) -> Draft:
    for _ in range(_MAX_TRIES):
        speaker = aside(s)
        speaker.correction_share = 0.6
        draft = draw_single(speaker) if s.chance(0.65) else draw_sequence(speaker, 2)
        if speaker.correction_share == 0:
            s.remember(speaker)
            return draft
    return _replaced_clause(s)


def _replaced_clause(s: Speaker) -> Draft:
    """One clause for another, of the same kind as often as not: "go to the kitchen, no, open the door"."""
    writer, (wrong, _) = draw_order(aside(s))
    words, actions = draw_self_contained(s, writer if s.chance(0.6) else None)
    words = wrong + s.rng.choice(_INSTEAD) + words
    draw = s.rng.random()
    if draw < 0.15:
        before, done_before = draw_self_contained(aside(s))
        return Draft(f"{before}{s.pick('. ', '. Then ')}{words}", done_before + actions, num_clauses=3)
    if draw < 0.35:
        after, done_after = draw_order(s)[1]
        link = s.pick(" and ", ", then ", " and then ", ", and ")
        return Draft(words + link + after, actions + done_after, num_clauses=3)
    return Draft(words, actions)


def _withdrawn(s: Speaker) -> Draft:
    draft = draw_sequence(aside(s), 2) if s.chance(0.15) else draw_single(aside(s))
    for _ in range(_MAX_TRIES):
        if not draft.ends_with_text() or s.chance(0.1):
            break
        draft = draw_single(aside(s))
    return Draft(draft.words + s.rng.choice(_ENDINGS_OF_NOTHING), [], draft.form, reply=NOTHING_TO_DO)


def _other_amount(s: Speaker) -> Draft:
    """Replace the amount of the last action: "go forward two meters, make that three"."""
    for _ in range(_MAX_TRIES):
        words, actions = draw_order(aside(s))[1]
        amount = replace_amount(s, actions[-1])
        if amount is not None and words[-1] not in ")\"'":
            new_words, changed = amount
            return Draft(words + s.rng.choice(_MAKE_THAT) + new_words, [*actions[:-1], changed])
    return _replaced_clause(s)


def replace_amount(s: Speaker, action: Action) -> tuple[str, Action] | None:
    """Draw another amount of the same kind for an action; returns its words and the changed action, or None."""
    for field in action:
        if field.startswith("distance_"):
            words, amount = s.distance()
        elif field == "angle_deg":
            words, amount = s.angle()
        elif field in ("duration_s", "duration_min") and action["action"] == "wait":
            words, amount = s.duration()
        elif field == "percent":
            words, percent = s.percent()
            amount = {"percent": percent}
        else:
            continue
        kept = {key: value for key, value in action.items() if key != field}
        return words, {**kept, **amount}
    return None
