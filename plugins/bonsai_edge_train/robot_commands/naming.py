"""How speakers name things, places and people: phrases drawn from the lexicon and from an open vocabulary."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

from bonsai_edge_train.robot_commands.lexicon import descriptions, objects, people, places
from bonsai_edge_train.robot_commands.lexicon.open_vocabulary import NOUNS, invented_word
from bonsai_edge_train.robot_commands.lexicon.word_list import words

_DOMAINS = tuple(domain for domain, _ in objects.DOMAINS)
_DOMAIN_WEIGHTS = tuple(weight for _, weight in objects.DOMAINS)
_LIST_OF_KIND = {
    "room": places.ROOMS, "surface": places.SURFACES, "container": places.CONTAINERS, "spot": places.SPOTS,
}  # fmt: skip
_PARTS_OF_KIND = {"surface": places.PARTS_ON, "container": places.PARTS_IN, "spot": places.PARTS_AT}
_HEADS_OF_KIND = {
    "room": ("room", "room", "area", "lab", "hall", "shop"),
    "surface": ("shelf", "table", "rack", "stand", "counter"),
    "container": ("box", "bin", "basket", "drawer", "jar", "bag", "cabinet"),
    "spot": ("station", "machine", "stand", "sign", "display", "exhibit"),
}
_NUMBERED_OF_KIND = {
    "room": ("room", "room", "room", "lab", "office", "suite", "building", "warehouse", "ward", "hall", "area"),
    "surface": ("shelf", "table", "rack", "bed", "desk", "pallet", "line", "level"),
    "container": ("bin", "box", "locker", "drawer", "slot", "crate", "cabinet"),
    "spot": (
        "station",
        "gate",
        "bay",
        "aisle",
        "table",
        "platform",
        "door",
        "checkpoint",
        "workstation",
        "zone",
    ),
}
_SINGULAR_ENDINGS = ("ss", "us", "is", "as")
_MASS_NOUNS = frozenset(
    words(
        "coffee, tea, water, milk, juice, beer, wine, soda, lemonade, bread, butter, cheese, rice, pasta, soup, "
        "salad, sugar, salt, flour, honey, jam, ketchup, mustard, laundry, trash, garbage, mail, luggage, medicine, "
        "medication, insulin, shampoo, toothpaste, soap, paper, tape, soil, compost, mulch, hay, chocolate, popcorn, "
        "cereal, yogurt, ham, bacon, chicken, fish, tuna, fruit, food, firewood, charcoal, paint, glue, gauze, toner, "
        "ethanol, solvent, sandpaper, cream, toast, garlic, corn, pizza, cake, pie, breakfast, lunch, dinner, rope"
    )
)
_VOWELS = tuple("aeiouAEIO")


class Thing(NamedTuple):
    """A noun with what stands before and after it."""

    adjectives: str
    noun: str
    afterthought: str = ""

    @property
    def phrase(self) -> str:
        """The words that an answer has for it."""
        return " ".join(part for part in self if part)


class Place(NamedTuple):
    """A place: its words with and without determiner, its noun and its kind (room, surface, container or spot)."""

    words: str
    value: str
    noun: str
    kind: str


def is_plural(phrase: str) -> bool:
    """Guess whether a phrase is plural from its head noun: "keys", but not "box of keys"."""
    head = phrase.split(" of ")[0].split(" with ")[0].split()[-1]
    return head.endswith("s") and not head.endswith(_SINGULAR_ENDINGS)


def _article(phrase: str) -> str:
    return "an " if phrase.startswith(_VOWELS) and not phrase.startswith(("us", "uni", "eu", "one")) else "a "


def draw_determiner(rng: Random, phrase: str) -> str:
    """Draw a determiner with its trailing space that goes with the phrase; it never reaches the answer."""
    draw = rng.random()
    if draw < 0.60:
        return "the "
    if draw < 0.71:
        return "my "
    if draw < 0.80:
        if is_plural(phrase):
            return rng.choice(("some ", "those ", "these ", "all the ", "all ", "all of the ", "all my "))
        is_mass = " of " not in phrase and phrase.rsplit(" ", 1)[-1] in _MASS_NOUNS
        return "some " if is_mass else _article(phrase)
    if draw < 0.90:
        return rng.choice(("those ", "these ")) if is_plural(phrase) else rng.choice(("that ", "this "))
    return rng.choice(("your ", "our ", "his ", "her ", "", "", "", ""))


def draw_name(rng: Random) -> str:
    """Draw a first name, at times an invented one."""
    return rng.choice(people.NAMES) if rng.random() < 0.9 else invented_word(rng)[:8].capitalize()


def _owner(rng: Random) -> str:
    """Draw a possessive that stays: "Tom's"."""
    draw = rng.random()
    if draw < 0.6:
        return draw_name(rng) + "'s"
    if draw < 0.7:
        return f"{rng.choice(people.TITLES)} {rng.choice(people.SURNAMES)}'s"
    return rng.choice(people.BARE_PEOPLE[:7] + people.KIN + people.ROLES[:30]) + "'s"


def _owner_determiner(owner: str) -> str:
    """Return what stands before a possessive: nothing before a name."""
    person = owner.removesuffix("'s")
    if person in people.KIN:
        return "my "
    is_name = person[0].isupper() or person in people.BARE_PEOPLE or person.partition(" ")[0] in people.TITLES
    return "" if is_name and person not in people.ROLES else "the "


def draw_noun(rng: Random) -> str:
    """Draw the noun of a thing: from the lexicon, any English noun, a compound of both or an invented word."""
    draw = rng.random()
    if draw < 0.80:
        return rng.choice(rng.choices(_DOMAINS, _DOMAIN_WEIGHTS)[0])
    if draw < 0.87:
        return rng.choice(NOUNS)
    if draw < 0.91:
        return f"{rng.choice(NOUNS)} {rng.choice(objects.COMPOUND_HEADS)}"
    if draw < 0.95:
        return _odd_pair(rng, draw_noun(rng))
    if draw < 0.97:
        return f"{rng.choice(objects.MEASURES)} of {rng.choice(NOUNS)}"
    return invented_word(rng)


def _odd_pair(rng: Random, noun: str) -> str:
    """Join two nouns of which the first often stands alone, so that a model copies both: "heat sink", "porch swing"."""
    words = noun.split()
    other = rng.choice(rng.choices(_DOMAINS, _DOMAIN_WEIGHTS)[0]).split()
    return f"{other[0]} {words[-1]}" if rng.random() < 0.5 else f"{words[0]} {other[-1]}"


def draw_adjectives(rng: Random) -> str:
    """Draw none to three adjectives in their usual order."""
    draw = rng.random()
    if draw < 0.64:
        return ""
    if draw < 0.78:
        return rng.choice(descriptions.COLOURS)
    if draw < 0.93:
        return rng.choice(rng.choice((descriptions.SIZES, descriptions.MATERIALS, descriptions.QUALITIES)))
    if draw < 0.97:
        return f"{rng.choice(descriptions.SIZES)} {rng.choice(descriptions.COLOURS)}"
    if draw < 0.99:
        return f"{rng.choice(descriptions.QUALITIES)} {rng.choice(descriptions.COLOURS + descriptions.MATERIALS)}"
    return f"{rng.choice(descriptions.SIZES)} {rng.choice(descriptions.COLOURS)} {rng.choice(descriptions.MATERIALS)}"


def draw_thing(rng: Random, nouns: tuple[str, ...] = ()) -> tuple[str, Thing]:
    """Draw a thing as (determiner with trailing space, thing); `nouns` fixes the choice of most nouns."""
    noun = rng.choice(nouns) if nouns and rng.random() < 0.88 else draw_noun(rng)
    if noun.startswith("something"):
        return "", Thing("", noun)
    draw = rng.random()
    if draw < 0.05:
        owner = _owner(rng)
        return _owner_determiner(owner), Thing(owner, noun)
    adjectives = "" if nouns and rng.random() < 0.35 else draw_adjectives(rng)
    if draw < 0.07 and " of " not in noun:
        return "the ", Thing(adjectives, noun, rng.choice(descriptions.AFTERTHOUGHTS))
    thing = Thing(adjectives, noun)
    return draw_determiner(rng, thing.phrase), thing


def draw_place(rng: Random, kind: str) -> Place:
    """Draw a place of a kind: room, surface, container or spot."""
    draw = rng.random()
    if draw < 0.82:
        noun = rng.choice(_LIST_OF_KIND[kind])
    elif draw < 0.87:
        number = str(rng.randint(1, 20) if rng.random() < 0.6 else rng.randint(1, 900))
        if rng.random() < 0.25:
            number = rng.choice("ABCDEFGH") + (number if rng.random() < 0.5 else "")
        noun = rng.choice(_NUMBERED_OF_KIND[kind])
        return Place(f"{noun} {number}", f"{noun} {number}", noun, kind)
    elif draw < 0.89:
        noun = f"{rng.choice(NOUNS)} {rng.choice(_HEADS_OF_KIND[kind])}"
    elif draw < 0.91:
        noun = _odd_pair(rng, rng.choice(_LIST_OF_KIND[kind]))
    elif draw < 0.935:
        noun = rng.choice(NOUNS)
    elif draw < 0.95:
        noun = invented_word(rng)
    elif draw < 0.97 and kind in _PARTS_OF_KIND:
        noun = rng.choice(_PARTS_OF_KIND[kind])
        return Place(f"the {noun}", noun, noun, kind)
    else:
        noun, owner = rng.choice(_LIST_OF_KIND[kind]), _owner(rng)
        return Place(f"{_owner_determiner(owner)}{owner} {noun}", f"{owner} {noun}", noun, kind)
    value = f"{rng.choice(places.PLACE_ADJECTIVES)} {noun}" if rng.random() < 0.16 else noun
    if rng.random() < 0.85:
        return Place(f"the {value}", value, noun, kind)
    return Place(
        rng.choice(("my ", "my ", "your ", "that ", "this ", "", "our ", _article(value))) + value, value, noun, kind
    )


def draw_person(rng: Random) -> tuple[str, str]:
    """Draw a person other than the speaker as (words, value)."""
    draw = rng.random()
    if draw < 0.52:
        name = draw_name(rng)
        return name, name
    if draw < 0.58:
        name = f"{rng.choice(people.TITLES)} {rng.choice(people.SURNAMES)}"
        return name, name
    if draw < 0.61:
        name = f"{rng.choice(people.RELATIVES)} {rng.choice(people.NAMES)}"
        return name, name
    if draw < 0.66:
        person = rng.choice(people.BARE_PEOPLE)
        return person, person
    if draw < 0.76:
        person = rng.choice(people.KIN)
        return rng.choice(("my ", "my ", "my ", "her ", "his ", "your ")) + person, person
    if draw < 0.79:
        person = rng.choice(NOUNS)
        return f"the {person}", person
    person = rng.choice(people.ROLES)
    return rng.choice(("the ",) * 9 + ("that ", "this ", "our ")) + person, person
