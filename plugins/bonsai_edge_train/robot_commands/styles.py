"""How a sentence is written down: speech recognizers, capital letters, final punctuation."""

from __future__ import annotations

import re
from collections.abc import Callable

from bonsai_edge_train.robot_commands.sequences import Draft
from bonsai_edge_train.robot_commands.speaker import Speaker

_QUOTES = re.compile(r"[\"“”]|(?<!\w)'|'(?!\w)")
_PUNCTUATION = re.compile(r"[.,;:!?]+(?=\s|$)|(?<!\S)[-&](?=\s)")
_SPACES = re.compile(r"\s+")
_I = re.compile(r"\bi\b(?!\.)")
_FIXED = frozenset(("action", "relation", "direction", "state", "topic", "change"))  # fields that repeat no words
_MAX_SHOUTED_WORDS = 4
_SENTENCE_START = re.compile(r"([.!?] )([a-z])")


def spoken(words: str) -> str:
    """Write words as a speech recognizer does: lower case, without punctuation."""
    return _SPACES.sub(" ", _PUNCTUATION.sub("", _QUOTES.sub("", words.lower().replace("...", " ")))).strip()


def _change_words(draft: Draft, change: Callable[[str], str]) -> None:
    """Write the words of a draft in another way, and with them what its actions repeat of them."""
    draft.words = change(draft.words)
    draft.actions = [
        {key: change(value) if isinstance(value, str) and key not in _FIXED else value for key, value in action.items()}
        for action in draft.actions
    ]


def _final_mark(s: Speaker, draft: Draft) -> str:
    if draft.words[-1] in ".!?":
        return ""
    draw = s.rng.random()
    if draft.form == "question":
        return "?" if draw < 0.72 else "." if draw < 0.78 else "?!" if draw < 0.79 else "??" if draw < 0.8 else ""
    if draw < 0.42:
        return "."
    if draw < 0.53:
        return "!"
    if draw < 0.57:
        return s.pick("!!", "...", "!!!", " .", "?", " !", "..", ",", ";", " :)")
    return ""


def _shouted_share(draft: Draft) -> float:
    """Return how often a draft is written in capitals: people shout short orders, "STOP" above all."""
    if [action["action"] for action in draft.actions] == ["stop"]:
        return 0.25
    return 0.05 if len(draft.words.split()) <= _MAX_SHOUTED_WORDS else 0.0


def write_down(s: Speaker, draft: Draft) -> None:
    """Give a draft its capitals and punctuation; its actions follow where they repeat its words."""
    if s.chance(_shouted_share(draft)):
        draft.words += _final_mark(s, draft)
        _change_words(draft, str.lower)
        draft.words = draft.words.upper()
        return
    draw = s.rng.random()
    if draw < 0.3:
        _change_words(draft, spoken)
        return
    if draw < 0.37:  # typed without capitals
        _change_words(draft, str.lower)
        draft.words += _final_mark(s, draft)
        return
    draft.words += _final_mark(s, draft)
    if s.chance(0.9):
        _change_words(draft, lambda words: _I.sub("I", words))
    if s.chance(0.8):
        draft.words = _SENTENCE_START.sub(lambda match: match[1] + match[2].upper(), draft.words)
    if draw < 0.86:
        draft.words = draft.words[0].upper() + draft.words[1:]
    elif draw < 0.87:
        first, _, rest = draft.words.partition(" ")
        draft.words = f"{first.upper()} {rest}".rstrip()
