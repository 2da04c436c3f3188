"""What may stand before an imperative clause, and its -ing form: "could you", "would you mind opening"."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.lexicon.word_list import words

_REGULAR = words(
    "pick, lift, take, grasp, collect, gather, retrieve, remove, place, leave, store, position, lay, bring, fetch, "
    "carry, deliver, transport, move, return, give, hand, pass, release, go, drive, head, travel, walk, roll, come, "
    "enter, visit, proceed, navigate, park, follow, accompany, turn, rotate, face, pivot, steer, wait, pause, stay, "
    "remain, hold, look, watch, observe, describe, inspect, check, examine, search, find, locate, open, close, push, "
    "pull, press, shove, slide, switch, power, clean, wipe, sweep, vacuum, dust, wash, polish, photograph, say, tell, "
    "announce, greet, report, show, speed, slow, increase, reduce, lower, drop, back, reverse, dock, charge, recharge, "
    "tow, swing, clear, tidy, scrub, toss, load, activate, deactivate, start, raise, loosen, tighten, snap, capture, "
    "approach, trail, chase, ask, inform, halt, freeze, continue, unload, keep, do, make, have, stand, nudge, see, "
    "scoot, "
    "swivel, stick, stash, hurry, crawl, ease, stow, shift, present, glance, seize, haul, tap, shout, track, deposit, "
    "transfer, perform, cruise, squeeze, whisper, rest, sanitize, disinfect, rinse, stare, peek, relocate, accelerate"
)
_DOUBLED = words(
    "put, set, get, grab, let, spin, shut, stop, run, drop, scan, mop, grip, tug, drag, lug, step, snap, nip"
)


def _form(verb: str) -> str:
    if verb in _DOUBLED:
        return verb + verb[-1] + "ing"
    if verb.endswith("e") and not verb.endswith("ee"):
        return verb[:-1] + "ing"
    return verb + "ing"


_FORMS = {verb: _form(verb) for verb in (*_REGULAR, *_DOUBLED)}


def gerund(clause: str) -> str | None:
    """Put the first verb of an imperative clause into its -ing form, or return None if that word is no known verb."""
    verb, _, rest = clause.partition(" ")
    form = _FORMS.get(verb)
    if form is None:
        return None
    return f"{form} {rest}" if rest else form


_NO_VERBS = frozenset(words(
    "a, no, not, never, please, faster, slower, quicker, full, half, quarter, maximum, max, emergency, just, "
    "would, one, from, out, in, on, off, to, at, inside, over, with, before, after, first, left, right"
))  # fmt: skip


def takes_base_verb(clause: str) -> bool:
    """Tell whether "could you" or "don't" can stand before an imperative clause."""
    first = clause.split(" ", 1)[0]
    return first not in _NO_VERBS and first.isalpha() and not clause.startswith(("do not", "top speed", "double speed"))
