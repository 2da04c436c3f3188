"""One speaker of robot commands: draws noun phrases, quantities and pronouns, and remembers what was mentioned."""

from __future__ import annotations

from random import Random

from bonsai_edge_train import lexicon
from bonsai_edge_train.lexicon import words

_DETERMINERS = ("the ",) * 8 + ("a ", "my ", "that ", "this ", "")
_SYLLABLES = words(
    "ba, be, bo, da, de, do, fa, fe, fi, ga, go, gu, ka, ki, ko, la, le, lo, ma, me, mi, mo, na, ni, no, pa, pe, po, "
    "ra, ri, ro, sa, se, so, ta, ti, to, va, ve, vi, wa, wi, za, zo, bra, cre, dri, fla, gle, kro, pla, sni, spo, "
    "stra, tri, xan, quo, yel, zur, lin, mar, nor, pel, rin, sol, tor, vex"
)
_ENDINGS = ("", "", "", "n", "r", "s", "t", "x", "l", "ck", "rp", "nt", "sh")
_ONES = words(
    "zero, one, two, three, four, five, six, seven, eight, nine, ten, eleven, twelve, thirteen, fourteen, fifteen, "
    "sixteen, seventeen, eighteen, nineteen"
)
_TENS = words("-, -, twenty, thirty, forty, fifty, sixty, seventy, eighty, ninety")


def number_words(number: int, hyphen: str = "-") -> str:
    """Spell 0 <= number < 1000 in English: 120 -> "one hundred twenty"."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens] + (hyphen + _ONES[ones] if ones else "")
    hundreds, rest = divmod(number, 100)
    return f"{_ONES[hundreds]} hundred" + (f" {number_words(rest, hyphen)}" if rest else "")


class Speaker:
    """State of one command: the random source, what "it" stands for, and what the robot holds."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.last_object: str | None = None
        self.last_place: str | None = None  # "it" too, as long as no object was mentioned
        self.holding: str | None = None
        self.nouns: set[str] = set()
        self.places: set[str] = set()

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self.rng.random() < probability

    def pick(self, *choices: str) -> str:
        """Draw one of the choices."""
        return self.rng.choice(choices)

    def determiner(self) -> str:
        """Draw a determiner with its trailing space; it never reaches the answer."""
        return self.rng.choice(_DETERMINERS)

    def invented_word(self) -> str:
        """Make up a word, so that copying does not depend on known vocabulary."""
        syllables = (self.rng.choice(_SYLLABLES) for _ in range(self.rng.randint(1, 3)))
        return "".join(syllables) + self.rng.choice(_ENDINGS)

    def noun_phrase(self, nouns: tuple[str, ...] = lexicon.OBJECTS) -> str:
        """Draw an adjective-noun phrase without determiner, such as "small red cube"."""
        noun = self.rng.choice(nouns)
        if self.chance(0.10):
            noun = self.invented_word() if self.chance(0.6) else self.rng.choice(lexicon.COMMON_WORDS)
        self.nouns.add(noun)
        adjectives = []
        if self.chance(0.15):
            adjectives.append(self.rng.choice(lexicon.SIZES))
        if self.chance(0.40):
            adjectives.append(self.rng.choice(lexicon.COLOURS))
        if self.chance(0.12):
            adjectives.append(self.rng.choice(lexicon.QUALITIES))
        return " ".join([*adjectives, noun])

    def object(self, nouns: tuple[str, ...] = lexicon.OBJECTS) -> tuple[str, str]:
        """Draw an object as (words in the command, value in the answer), the words perhaps being "it"."""
        antecedent = self.last_object or self.last_place
        if antecedent is not None and self.chance(0.6 if self.last_object else 0.25):
            return self.pick("it", "it", "it", "that"), antecedent
        phrase = self.noun_phrase(nouns)
        self.last_object = phrase
        return self.determiner() + phrase, phrase

    def person(self) -> tuple[str, str]:
        """Draw a person as (words, value); the speaker is "user"."""
        draw = self.rng.random()
        if draw < 0.5:
            return "me", "user"
        if draw < 0.8:
            name = self.rng.choice(lexicon.NAMES)
            if self.chance(0.15):
                name = self.invented_word().capitalize()
            return (name, name) if self.chance(0.85) else (name.lower(), name.lower())
        person = self.rng.choice(lexicon.PEOPLE)
        return f"the {person}", person

    def place(self, rooms_only: bool = False) -> tuple[str, str]:
        """Draw a place as (words, value)."""
        draw = self.rng.random()
        if draw < 0.06:
            place = f"{self.rng.choice(lexicon.NUMBERED_PLACES)} {self.rng.randint(1, 60)}"
            return (place if self.chance(0.7) else f"the {place}"), place
        head = self.rng.choice(lexicon.ROOMS if rooms_only or self.chance(0.4) else lexicon.SPOTS)
        if draw < 0.12:
            head = self.invented_word()
        self.places.add(head)
        place = f"{self.rng.choice(lexicon.COLOURS + lexicon.SIZES)} {head}" if self.chance(0.12) else head
        return (self.determiner() if self.chance(0.15) else "the ") + place, place

    def number(self, values: range) -> tuple[str, int]:
        """Draw a whole number as (digits or words, value)."""
        value = self.rng.choice(values)
        if self.chance(0.55):
            return str(value), value
        words = number_words(value, self.pick("-", " "))
        if 100 <= value < 200 and self.chance(0.3):
            words = "a" + words.removeprefix("one")
        return words, value

    def distance(self) -> tuple[str, dict[str, int | float]]:
        """Draw a distance as (words, the field distance_m or distance_cm)."""
        if self.chance(0.35):
            words, value = self.number(range(1, 200) if self.chance(0.3) else range(5, 105, 5))
            unit = self.pick("centimeters", "centimetres", "cm")
            return f"{words} {unit}", {"distance_cm": value}
        draw = self.rng.random()
        if draw < 0.08:
            return self.pick("half a meter", "half a metre"), {"distance_m": 0.5}
        if draw < 0.16:
            return self.pick("a meter", "one meter", "one metre", "1 meter", "1 m"), {"distance_m": 1}
        if draw < 0.26:
            tenths = self.rng.randint(1, 59)
            value_m = tenths // 10 if tenths % 10 == 0 else tenths / 10
            return f"{value_m} {self.pick('meters', 'metres', 'm')}", {"distance_m": value_m}
        words, value = self.number(range(2, 10) if self.chance(0.7) else range(2, 60))
        if words.isdigit() and self.chance(0.1):
            return f"{words}m", {"distance_m": value}
        return f"{words} {self.pick('meters', 'metres', 'm', 'meters')}", {"distance_m": value}

    def angle(self) -> tuple[str, dict[str, int | float]]:
        """Draw an angle as (words, the field angle_deg)."""
        values = range(15, 361, 15) if self.chance(0.6) else range(1, 361)
        words, value = self.number(values)
        if words.isdigit() and self.chance(0.15):
            return f"{words}°", {"angle_deg": value}
        return f"{words} {self.pick('degrees', 'degrees', 'deg')}", {"angle_deg": value}

    def duration(self) -> tuple[str, dict[str, int | float]]:
        """Draw a duration as (words, the field duration_s or duration_min)."""
        if self.chance(0.3):
            if self.chance(0.15):
                return self.pick("a minute", "one minute", "1 minute"), {"duration_min": 1}
            words, value = self.number(range(2, 60))
            return f"{words} {self.pick('minutes', 'minutes', 'min')}", {"duration_min": value}
        words, value = self.number(range(2, 20) if self.chance(0.6) else range(2, 121))
        return f"{words} {self.pick('seconds', 'seconds', 'sec', 's')}", {"duration_s": value}
