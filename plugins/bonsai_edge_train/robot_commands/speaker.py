"""One speaker of robot commands: draws things, places, people and amounts, and remembers what was mentioned.

Every method that returns (words, value) gives the words of the sentence, with ordinary capitals ("Anna", "I mean"),
and what the answer has for them. Whoever writes a whole sentence in lower case also lowers the values.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from bonsai_edge_train.robot_commands.amounts import (
    Amount,
    draw_angle,
    draw_distance,
    draw_duration,
    draw_number,
    draw_percent,
)
from bonsai_edge_train.robot_commands.lexicon.open_vocabulary import invented_word
from bonsai_edge_train.robot_commands.lexicon.people import KIN
from bonsai_edge_train.robot_commands.lexicon.phrases import CONTRASTS, CORRECTIONS, RELATIONS
from bonsai_edge_train.robot_commands.lexicon.places import CHARGERS
from bonsai_edge_train.robot_commands.naming import (
    Place,
    Thing,
    draw_determiner,
    draw_name,
    draw_person,
    draw_place,
    draw_thing,
    is_plural,
)

Drawn = tuple[str, str]
Located = tuple[str, dict[str, str]]

_KINDS = ("room", "surface", "container", "spot")
_PREPOSITIONS = {
    "room": ("in", "in", "in", "inside"),
    "surface": ("on", "on", "on", "on", "on top of"),
    "container": ("in", "in", "in", "inside"),
    "spot": ("at",),
}
_TRAVEL = {
    "room": ("to", "to", "to", "to", "into", "over to", "back to", "to"),
    "surface": ("to", "to", "to", "over to", "back to"),
    "container": ("to", "to", "over to"),
    "spot": ("to", "to", "to", "over to", "back to"),
}
_BARE_PLACES = ("upstairs", "downstairs", "outside", "home", "inside")


PRONOUNS = frozenset(("it", "this", "that", "them", "those", "these"))


class Speaker:
    """State of one sentence: the random source, what "it", "her" and "there" stand for, what the robot holds.

    `correction_share` is the probability that a draw of `object`, `place`, `person`, `distance`, `angle`, `duration`,
    `percent` or `direction` is corrected in place ("the red cup, no, the blue one"), at most once in a sentence.
    """

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.correction_share = 0.0
        self.last_object: str | None = None  # "it"
        self.last_person: str | None = None  # "him" or "her"
        self.last_place: str | None = None  # "there", and "it" while no object was mentioned; set by what goes there
        self.last_opened: str | None = None  # "close it again"
        self.holding: str | None = None
        self.picked: set[str] = set()  # whatever was picked, held or not
        self.nouns: set[str] = set()  # the nouns of things and of places, for held-out combinations
        self.places: set[str] = set()

    def remember(self, other: Speaker) -> None:
        """Take over what another speaker mentioned, whose words become part of this one's sentence."""
        self.__dict__.update(other.__dict__)

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self.rng.random() < probability

    def pick(self, *choices: str) -> str:
        """Draw one of the choices."""
        return self.rng.choice(choices)

    def determiner(self, phrase: str = "") -> str:
        """Draw a determiner with its trailing space; it never reaches the answer."""
        return draw_determiner(self.rng, phrase or "it")

    def invented_word(self) -> str:
        """Make up a word."""
        return invented_word(self.rng)

    def name(self) -> str:
        """Draw a first name."""
        return draw_name(self.rng)

    def noun_phrase(self, nouns: tuple[str, ...] = ()) -> str:
        """Draw a thing without determiner, such as "small red cube"."""
        _, thing = draw_thing(self.rng, nouns)
        self.nouns.add(thing.noun)
        return thing.phrase

    def thing(self, nouns: tuple[str, ...] = ()) -> Drawn:
        """Draw a thing that is named, not "it"; it becomes what "it" stands for."""
        determiner, thing = draw_thing(self.rng, nouns)
        self.nouns.add(thing.noun)
        words, value = determiner + thing.phrase, thing.phrase
        if self._is_corrected():
            words, value = self._correct_thing(words, thing, nouns)
        self.last_object = value
        return words, value

    def object(self, nouns: tuple[str, ...] = (), portable: bool = False) -> Drawn:
        """Draw a thing as (words, value), the words perhaps a pronoun for what was mentioned before.

        "It" may also be a place, unless the thing has to be portable or cannot be what `nouns` lists: "go to the
        fridge and open it".
        """
        if self.last_object is not None:
            if self.chance(0.6):
                return self.pronoun(self.last_object), self.last_object
            if self.chance(0.1):
                return self._again(self.last_object), self.last_object
        elif self.last_place is not None:
            if not portable and (not nouns or self.last_place in nouns) and self.chance(0.25):
                return "it", self.last_place
        elif not self.nouns and not self.places and self.chance(0.05):  # what the speaker points at
            self.last_object = self.pick("it", "it", "this", "that", "them", "these")
            return self.last_object, self.last_object
        return self.thing(nouns)

    def held_object(self, nouns: tuple[str, ...] = ()) -> Drawn:
        """Draw the object of placing and giving: mostly what the robot holds, if it holds something."""
        if self.holding is None or self.chance(0.1):
            return self.object(nouns, portable=True)
        if self.holding == self.last_object and self.chance(0.85):
            return self.pronoun(self.holding), self.holding
        return self._again(self.holding), self.holding

    def pronoun(self, value: str) -> str:
        """Draw the pronoun for a thing."""
        if value in PRONOUNS:
            return value
        if is_plural(value):
            return self.pick("them", "them", "them", "those", "it")
        return self.pick("it", "it", "it", "it", "it", "it", "that", "this")

    def person(self, user: float = 0.5) -> Drawn:
        """Draw a person as (words, value): the speaker with probability `user`, or somebody else."""
        if self.chance(user):
            return "me", "user"
        return self.other_person()

    def other_person(self) -> Drawn:
        """Draw a person who is not the speaker, perhaps as "him" or "her"."""
        if self.last_person is not None and self.chance(0.5):
            return self.pick("him", "her"), self.last_person
        words, value = draw_person(self.rng)
        if self._is_corrected():
            words, value = self._amend(words, draw_person(self.rng))
        self.last_person = None if is_plural(value) else value
        return words, value

    def place(self, rooms_only: bool = False, kind: str | None = None) -> Drawn:
        """Draw a place as (words, value); the preposition is up to the clause."""
        drawn = self.place_of_kind(kind or ("room" if rooms_only else self._kind()))
        return drawn.words, drawn.value

    def place_of_kind(self, kind: str) -> Place:
        """Draw a room, surface, container or spot."""
        place = draw_place(self.rng, kind)
        if self._is_corrected():
            other = draw_place(self.rng, kind)
            words, value = self._amend(place.words, (other.words, other.value))
            place = Place(words, value, other.noun, kind)
        self.places.add(place.noun)
        return place

    def there(self) -> str | None:
        """Return what "there" stands for."""
        return self.last_place

    def location(self, relations: float = 0.25) -> Located:
        """Draw where something is, with preposition, and its fields: ("on the table", {"target": "table"})."""
        if self.chance(relations):
            return self.related_place()
        if self.chance(0.02):
            bare = self.pick("upstairs", "downstairs", "outside")
            return bare, {"target": bare}
        if self.chance(0.02):
            words, charger = self.charger()
            return f"{self.pick('at', 'on')} {words}", {"target": charger}
        place = self.place_of_kind(self._kind())
        return f"{self.pick(*_PREPOSITIONS[place.kind])} {place.words}", {"target": place.value}

    def destination(self) -> Drawn:
        """Draw a goal of travel or transport with its preposition: ("over to the sofa", "sofa")."""
        if self.chance(0.04):
            bare = self.rng.choice(_BARE_PLACES)
            return bare, bare
        place = self.place_of_kind(self._kind())
        return f"{self.pick(*_TRAVEL[place.kind])} {place.words}", place.value

    def charger(self) -> Drawn:
        """Draw the robot's charger where it is not the goal of a ride: ("the charging dock", "charging dock")."""
        charger = self.rng.choice(CHARGERS)
        self.places.add(charger)
        return f"{self.pick('the', 'the', 'the', 'your')} {charger}", charger

    def relation(self) -> Drawn:
        """Draw a relation to one thing as (words, value)."""
        return self.rng.choice(RELATIONS)

    def related_place(self) -> Located:
        """Draw a place that something lies in relation to; "between" has two."""
        if self.chance(0.08):
            first, second = (draw_place(self.rng, self.pick("surface", "spot")) for _ in range(2))
            self.places.update((first.noun, second.noun))
            target = f"{first.value} and {second.value}"
            return f"between {first.words} and {second.words}", {"relation": "between", "target": target}
        words, relation = self.relation()
        if self.chance(0.1) and relation in ("next to", "behind", "in front of", "near", "left of", "right of"):
            place_words, target = self.person()
        elif self.chance(0.25):
            determiner, thing = draw_thing(self.rng)
            self.places.add(thing.noun)
            place_words, target = determiner + thing.phrase, thing.phrase
        else:
            place_words, target = self.place(kind=self.pick("surface", "surface", "spot", "spot", "container"))
        return f"{words} {place_words}", {"relation": relation, "target": target}

    def number(self, values: range) -> tuple[str, int]:
        """Draw a whole number in digits or words."""
        return draw_number(self.rng, values)

    def distance(self) -> Amount:
        """Draw a distance and its field: distance_m, distance_cm or distance_ft."""
        return self._amount(draw_distance)

    def angle(self) -> Amount:
        """Draw an angle in degrees and its field angle_deg."""
        return self._amount(draw_angle)

    def duration(self) -> Amount:
        """Draw a duration and its field: duration_s or duration_min."""
        return self._amount(draw_duration)

    def percent(self) -> tuple[str, int]:
        """Draw a percentage from 1 to 100."""
        words, value = draw_percent(self.rng)
        if self._is_corrected():
            other, value = draw_percent(self.rng)
            words += self.rng.choice(CORRECTIONS) + other
        return words, value

    def direction(self, *directions: str) -> Drawn:
        """Draw one of the directions, perhaps after a wrong one: ("left, no wait, right", "right")."""
        value = words = self.rng.choice(directions)
        if self._is_corrected():
            words = self._amend(self.pick(*(set(directions) - {value} or {value})), (value, value))[0]
        return words, value

    def _again(self, value: str) -> str:
        """Name once more what was mentioned."""
        is_name = value in PRONOUNS or value[0].isupper() or value.split("'")[0] in KIN
        return value if is_name else f"the {value}"

    def _kind(self) -> str:
        return self.rng.choice(_KINDS)

    def _is_corrected(self) -> bool:
        if not self.correction_share or self.rng.random() >= self.correction_share:
            return False
        self.correction_share = 0.0
        return True

    def _amend(self, words: str, other: Drawn) -> Drawn:
        """Say the other thing after the first, with the value of the one that is meant in the end."""
        return words + self.rng.choice(CORRECTIONS) + other[0], other[1]

    def _correct_thing(self, words: str, thing: Thing, nouns: tuple[str, ...]) -> Drawn:
        """Correct or contrast a thing: another colour of the same noun, or another noun."""
        determiner, other = draw_thing(self.rng, nouns)
        if other.adjectives and "'" not in other.adjectives and thing.adjectives and self.chance(0.6):
            one = "ones" if is_plural(thing.noun) else self.pick("one", "one", thing.noun)
            other_words, other = f"the {other.adjectives} {one}", Thing(other.adjectives, thing.noun)
        else:
            other_words = determiner + other.phrase
        if self.chance(0.15) and other.phrase != thing.phrase:
            return words + self.rng.choice(CONTRASTS) + other_words, thing.phrase
        self.nouns.add(other.noun)
        return self._amend(words, (other_words, other.phrase))

    def _amount(self, draw: Callable[[Random], Amount]) -> Amount:
        words, fields = draw(self.rng)
        if not self._is_corrected():
            return words, fields
        other_words, other_fields = draw(self.rng)
        number, _, unit = words.rpartition(" ")
        if number and other_words.endswith(" " + unit):
            words = number
        return words + self.rng.choice(CORRECTIONS) + other_words, other_fields
