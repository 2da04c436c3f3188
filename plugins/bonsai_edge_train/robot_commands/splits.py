"""What training must never see, and the split that keeps it apart.

Hand-written commands of other people in two files, the commands of the demo, and generated ones. At least 30 % of the
generated held-out commands contain something that training never draws: an object noun, a place noun, or a combination
of an object with a place.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import chain
from random import Random

from bonsai_edge_train.robot_commands.actions import render_answer
from bonsai_edge_train.robot_commands.lexicon.objects import DOMAINS
from bonsai_edge_train.robot_commands.lexicon.places import ROOMS, SPOTS
from bonsai_edge_train.robot_commands.sentences import Example, generate_example
from bonsai_edge_train.robot_commands.typos import KNOWN_WORDS

HELD_OUT_SIZE = 2000
_HELD_OUT_SEED = 20260101
_DEVELOPMENT_SEED = 20260102
_HELD_OUT_PAIRS = 20  # one combination in 20
_NEW_SHARE = 0.3
_NUM_HELD_OUT_OBJECTS = 40
_NUM_HELD_OUT_PLACES = 15
_MIN_HELD_OUT_WORDS = 4  # shorter ones are few, and training would miss all of them
_WORDS = re.compile(r"[^\W_]+")

DEMO_EXAMPLES = [
    Example(command, f'{{"actions":[{actions}]}}', category, frozenset())
    for command, actions, category in (
        (
            "pick up the red cube and bring it to the charging dock",
            '{"action":"pick","object":"red cube"},{"action":"place","object":"red cube","target":"charging dock"}',
            "sequences",
        ),
        (
            "go to the kitchen and open the fridge",
            '{"action":"go","target":"kitchen"},{"action":"open","object":"fridge"}',
            "sequences",
        ),
        (
            "turn left 90 degrees, then drive forward two meters",
            '{"action":"turn","direction":"left","angle_deg":90},{"action":"move","direction":"forward","distance_m":2}',
            "sequences",
        ),
        ("stop", '{"action":"stop"}', "motion"),
        ("follow me to the door", '{"action":"follow","object":"user","target":"door"}', "motion"),
        ("what do you see on the table?", '{"action":"look","target":"table"}', "perception"),
    )
]


def normalize(command: str) -> str:
    """Reduce a command to lower-case words, so that capitals and punctuation do not make it a new one."""
    return " ".join(_WORDS.findall(command.lower()))


def load_hand_written(name: str = "hand_written") -> list[Example]:
    """Load one of the sets written by hand: "hand_written" (final) or "hand_written_development"."""
    lines = files(__package__).joinpath(f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    rows = map(json.loads, filter(None, lines))
    return [Example(row["command"], render_answer(row["actions"]), row["category"], frozenset()) for row in rows]


def _first_by_hash(phrases: Iterator[str], num_phrases: int) -> frozenset[str]:
    """Choose phrases without regard to their meaning, but none of the everyday words that every user expects."""
    rare = {phrase for phrase in phrases if KNOWN_WORDS.isdisjoint(phrase.split())}
    return frozenset(sorted(rare, key=lambda phrase: (zlib.crc32(phrase.encode()), phrase))[:num_phrases])


HELD_OUT_OBJECTS = _first_by_hash(chain.from_iterable(nouns for nouns, _ in DOMAINS), _NUM_HELD_OUT_OBJECTS)
HELD_OUT_PLACES = _first_by_hash(chain(ROOMS, SPOTS), _NUM_HELD_OUT_PLACES)
_HELD_OUT_NOUNS = re.compile(r"\b(?:" + "|".join(sorted(map(normalize, HELD_OUT_OBJECTS | HELD_OUT_PLACES))) + r")s?\b")


def is_held_out_pair(pair: tuple[str, str]) -> bool:
    """Tell whether training leaves this (object noun, place noun) combination out."""
    return pair == ("cube", "charging dock") or zlib.crc32("|".join(pair).encode()) % _HELD_OUT_PAIRS == 0


def is_new(example: Example) -> bool:
    """Tell whether an example contains a noun or a combination that training never draws."""
    return any(map(is_held_out_pair, example.pairs)) or _HELD_OUT_NOUNS.search(normalize(example.command)) is not None


@cache
def _written_by_hand() -> frozenset[str]:
    hand_written = chain.from_iterable(map(load_hand_written, ("hand_written", "hand_written_development")))
    commands = (normalize(example.command) for example in (*DEMO_EXAMPLES, *hand_written))
    return frozenset(command for command in commands if command != "stop")  # a model must have learnt that one word


def _stream(seed: int) -> Iterator[Example]:
    rng = Random(seed)
    while True:
        yield generate_example(rng)


def _distinct(seed: int, seen: set[str]) -> Iterator[Example]:
    for example in _stream(seed):
        command = normalize(example.command)
        if command not in seen:
            seen.add(command)
            yield example


@cache
def _held_out(num_examples: int) -> tuple[Example, ...]:
    new_examples: list[Example] = []
    familiar: list[Example] = []
    num_new = round(num_examples * _NEW_SHARE)
    for example in _distinct(_HELD_OUT_SEED, set(_written_by_hand())):
        if len(example.command.split()) < _MIN_HELD_OUT_WORDS:
            continue
        (new_examples if is_new(example) else familiar).append(example)
        if len(new_examples) >= num_new and len(familiar) >= num_examples - num_new:
            break
    chosen = new_examples[:num_new] + familiar[: num_examples - num_new]
    Random(_HELD_OUT_SEED).shuffle(chosen)
    return tuple(chosen)


def held_out_examples(num_examples: int = HELD_OUT_SIZE) -> list[Example]:
    """Return generated examples for the final measurement, the same on every call; 30 % of them are new in kind."""
    return list(_held_out(num_examples))


def development_examples(num_examples: int) -> list[Example]:
    """Return generated examples to look at while developing, the same on every call, none of them held out."""
    seen = {*_written_by_hand(), *_keys(_held_out(HELD_OUT_SIZE))}
    stream = (example for example in _distinct(_DEVELOPMENT_SEED, seen) if not is_new(example))
    return [example for example, _ in zip(stream, range(num_examples), strict=False)]


def _keys(examples: tuple[Example, ...]) -> frozenset[str]:
    return frozenset(normalize(example.command) for example in examples)


def training_examples(seed: int) -> Iterator[Example]:
    """Draw training examples without end: nothing held out or written by hand, no held-out noun or combination."""
    forbidden = _written_by_hand() | _keys(_held_out(HELD_OUT_SIZE))
    for example in _stream(seed):
        if normalize(example.command) not in forbidden and not is_new(example):
            yield example
