"""Nouns beyond the hand-made lists, so that what a model copies does not depend on known vocabulary.

The nouns are those of the package wonderwords (MIT licence); invented words are spelled from syllables.
"""

from __future__ import annotations

import re
from random import Random

from wonderwords import RandomWord, filter_profanity

from bonsai_edge_train.robot_commands.lexicon.word_list import words

_ABSTRACT_ENDINGS = (
    "ness", "ity", "tion", "sion", "ism", "ment", "ance", "ence", "ship", "ology", "hood", "acy", "ency", "ancy", "dom",
)  # fmt: skip
# Words with a meaning of their own in commands.
_RESERVED = frozenset(
    words(
        "left, right, back, front, top, bottom, home, base, dock, here, there, user, me, you, everyone, everybody, "
        "everything, nothing, something, anything, one, two, three, four, five, six, seven, eight, nine, ten, "
        "hundred, thousand, million, half, quarter, no, none, now, then, today, tomorrow, tonight, yesterday, way, "
        "while, second, minute, hour, meter, metre, inch, mile, yard, degree, percent, can, will, may, must, stop, "
        "wait, go, open, close, push, pull, turn, say, look, find, follow, pick, place, bring, take, give, drop, "
        "put, hold, get, please, thanks, thank, okay, hello, hi, bye, sorry, robot, it, that, this, them, all, "
        "some, other, both, each, dead, sex, murder, killer, slave, slavery, hand, hands, finger, fingers, thumb, "
        "claw, claws, gripper, palm, fist, eye, eyes, arm, arms, mouth, head, battery, charger, dock, station, "
        "speed, picture, photo, photograph, lord, god, upstairs, downstairs, outside, inside, outdoors, indoors, "
        "miscarriage, "
        "rapist, nazi, terrorist, terrorism, terror, corpse, genocide, suicide, orgasm, penis, vagina, prostitute"
    )
)  # fmt: skip
_SYLLABLES = words(
    "ba, be, bo, bu, da, de, do, fa, fe, fi, ga, go, gu, ha, hu, ja, jo, ka, ki, ko, la, le, lo, ma, me, mi, mo, mu, "
    "na, ni, no, nu, pa, pe, po, ra, ri, ro, ru, sa, se, so, ta, ti, to, va, ve, vi, wa, wi, za, zo, bla, bra, cre, "
    "dri, fla, gle, glo, kro, pla, pru, shi, sni, spo, stra, thi, tri, xan, quo, yel, zur, lin, mar, nor, pel, rin, "
    "sol, tor, vex, wug, dax, mip, gar, hol, jen, kel, ost, ald, erm, imp, und"
)
_ENDINGS = ("", "", "", "n", "r", "s", "t", "x", "l", "ck", "rp", "nt", "sh", "d", "m", "b", "le", "ster", "ometer")


def _is_usable(noun: str) -> bool:
    return (
        re.fullmatch("[a-z]{3,14}([ -][a-z]{3,12})?", noun) is not None
        and noun not in _RESERVED
        and not noun.endswith(_ABSTRACT_ENDINGS)
    )


NOUNS: tuple[str, ...] = tuple(filter(_is_usable, filter_profanity(RandomWord().filter(include_categories=["noun"]))))


def invented_word(rng: Random) -> str:
    """Make up a word of one to three syllables."""
    while True:
        syllables = (rng.choice(_SYLLABLES) for _ in range(rng.choice((1, 2, 2, 3))))
        word = "".join(syllables) + rng.choice(_ENDINGS)
        if len(word) > 2 and word not in _RESERVED:
            return word
