"""What slips in while speaking: fillers, hesitations and repeated words. The answer does not change."""

from __future__ import annotations

from bonsai_edge_train.robot_commands.lexicon.word_list import words
from bonsai_edge_train.robot_commands.sequences import Draft
from bonsai_edge_train.robot_commands.speaker import Speaker

_FIRST = (
    "um", "um", "uh", "uh", "er", "erm", "hmm", "well", "well", "so", "so", "ok so", "okay so", "alright so", "like",
    "uhm", "oh", "ah", "you know", "let me see", "let me think", "let's see", "okay um", "so um", "um so", "right so",
    "i guess", "basically", "umm", "uhh", "hm", "yeah so", "now let me think", "oh yeah", "ah yes", "and um",
    "anyway", "all right then", "okay well", "so yeah", "and uh", "what was it", "how do i say this", "oh by the way",
    "by the way", "you know what", "oh and",
)  # fmt: skip
_MIDDLE = ("um", "um", "um", "uh", "uh", "uh", "er", "erm", "like", "like", "you know", "well", "hmm", "uhm", "ehm",
           "i guess", "let me see", "kind of", "what's it called", "umm", "i think", "sort of",
           "let's see")  # fmt: skip
# Words before which people hesitate.
_BEFORE = frozenset(words(
    "the, a, an, my, your, this, that, to, into, onto, in, on, at, from, for, and, then, with, by, under, behind, "
    "near, "
    "please, left, right, go, turn, take, put, bring, get, forward"
))  # fmt: skip


def _last_free_index(draft: Draft, tokens: list[str]) -> int:
    """Return the index of the first word that is said for the robot to repeat, or the number of words."""
    first = len(tokens)
    for action in draft.actions:
        text = str(action.get("text", ""))
        position = draft.words.lower().find(text.lower()) if text else -1
        if position >= 0:
            first = min(first, len(draft.words[:position].split()))
    return first


def _hesitate(s: Speaker, draft: Draft) -> None:
    tokens = draft.words.split(" ")
    limit = _last_free_index(draft, tokens)
    places = [index for index in range(1, limit) if tokens[index] in _BEFORE]
    if not places:
        draft.words = f"{s.rng.choice(_FIRST)}, {draft.words}"
        return
    index = s.rng.choice(places)
    filler = s.rng.choice(_MIDDLE)
    before = tokens[index - 1]
    style = s.rng.random()
    if style < 0.45 or not before[-1].isalnum():
        inserted = filler if style < 0.4 else f"{filler},"
    elif style < 0.8:
        tokens[index - 1], inserted = f"{before},", f"{filler},"
    else:
        tokens[index - 1], inserted = f"{before}...", s.pick(filler, f"{filler}...", filler)
    tokens.insert(index, inserted)
    draft.words = " ".join(tokens)


def _repeat(s: Speaker, draft: Draft) -> None:
    """Say one or two words twice: "go to the the kitchen", "go to go to the kitchen"."""
    tokens = draft.words.split(" ")
    limit = _last_free_index(draft, tokens)
    places = [index for index in range(limit) if index == 0 or tokens[index] in _BEFORE]
    if not places:
        return
    index = s.rng.choice(places)
    length = 2 if s.chance(0.25) and index + 2 <= limit else 1
    repeated = tokens[index : index + length]
    if not all(token.isalpha() and token not in ("left", "right") for token in repeated):
        return
    last = repeated[-1]
    again = [*repeated[:-1], last + s.pick("", "", "", ",", "...", " -")]
    if length == 1 and s.chance(0.1) and last[0] not in "aeiou":
        again = [f"{last[0]}-{last}"]
        repeated = []
    draft.words = " ".join([*tokens[:index], *again, *repeated, *tokens[index + length :]])


def add_disfluency(s: Speaker, draft: Draft) -> None:
    """Make a draft sound spoken: one slip, sometimes two."""
    for _ in range(2 if s.chance(0.25) else 1):
        kind = s.rng.random()
        if kind < 0.38:
            filler = s.rng.choice(_FIRST)
            draft.words = filler + s.pick(", ", " ", " ", "... ") + draft.words
        elif kind < 0.75:
            _hesitate(s, draft)
        else:
            _repeat(s, draft)
    draft.marks.append("filler")
