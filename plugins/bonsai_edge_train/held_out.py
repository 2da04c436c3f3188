"""What training must never see, and the split that keeps it apart.

Four held-out sets: the demo commands, hand-written commands that no template produced, generated commands, and
generated commands with (object, place) combinations that training leaves out.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Collection, Iterator
from itertools import islice
from random import Random

from bonsai_edge_train.actions import UNKNOWN_COMMAND
from bonsai_edge_train.robot_commands import Example, generate_example

_HELD_OUT_SHARE = 20  # one combination in 20
_EVALUATION_SEED = 20260101


def _answer(actions: str) -> str:
    return f'{{"actions":[{actions}]}}'


def _examples(rows: dict[str, str]) -> list[Example]:
    return [Example(command, answer, frozenset()) for command, answer in rows.items()]


DEMO_EXAMPLES = _examples(
    {
        "pick up the red cube and bring it to the charging dock": _answer(
            '{"action":"pick","object":"red cube"},{"action":"place","object":"red cube","target":"charging dock"}'
        ),
        "go to the kitchen and open the fridge": _answer(
            '{"action":"go","target":"kitchen"},{"action":"open","object":"fridge"}'
        ),
        "turn left 90 degrees, then drive forward two meters": _answer(
            '{"action":"turn","direction":"left","angle_deg":90},{"action":"move","direction":"forward","distance_m":2}'
        ),
        "stop": _answer('{"action":"stop"}'),
        "follow me to the door": _answer('{"action":"follow","object":"user","target":"door"}'),
        "what do you see on the table?": _answer('{"action":"look","target":"table"}'),
    }
)

HAND_WRITTEN_EXAMPLES = _examples(
    {
        "Could you grab the blue mug from the kitchen table and bring it to me?": _answer(
            '{"action":"pick","object":"blue mug","source":"kitchen table"},'
            '{"action":"give","object":"blue mug","target":"user"}'
        ),
        "robot, drive backwards 30 cm and then stop": _answer(
            '{"action":"move","direction":"backward","distance_cm":30},{"action":"stop"}'
        ),
        "Please turn around and go back to the charging station.": _answer(
            '{"action":"turn","direction":"around"},{"action":"go","target":"charging station"}'
        ),
        "rotate right by forty-five degrees": _answer('{"action":"turn","direction":"right","angle_deg":45}'),
        "take the green bottle to the living room, then come back to me": _answer(
            '{"action":"pick","object":"green bottle"},'
            '{"action":"place","object":"green bottle","target":"living room"},'
            '{"action":"go","target":"user"}'
        ),
        "switch off the light in the garage": _answer(
            '{"action":"switch","object":"light","target":"garage","state":"off"}'
        ),
        "wait for ten seconds and close the drawer": _answer(
            '{"action":"wait","duration_s":10},{"action":"close","object":"drawer"}'
        ),
        "where is my umbrella?": _answer('{"action":"find","object":"umbrella"}'),
        "tell Maria that dinner is ready": _answer('{"action":"say","target":"Maria","text":"dinner is ready"}'),
        "I'd like you to put the apple under the chair": _answer(
            '{"action":"place","object":"apple","relation":"under","target":"chair"}'
        ),
        "push the wooden crate forward 1.5 meters": _answer(
            '{"action":"push","object":"wooden crate","direction":"forward","distance_m":1.5}'
        ),
        "hand me the small screwdriver": _answer('{"action":"give","object":"small screwdriver","target":"user"}'),
        "follow the nurse into the ward": _answer('{"action":"follow","object":"nurse","target":"ward"}'),
        "enter the lab, look at the workbench and take a picture of it": _answer(
            '{"action":"go","target":"lab"},{"action":"look","target":"workbench"},'
            '{"action":"photo","target":"workbench"}'
        ),
        "go straight ahead for three metres, turn left and wait at the gate": _answer(
            '{"action":"move","direction":"forward","distance_m":3},{"action":"turn","direction":"left"},'
            '{"action":"wait","target":"gate"}'
        ),
        "Find the yellow ball, pick it up and put it in the basket.": _answer(
            '{"action":"find","object":"yellow ball"},{"action":"pick","object":"yellow ball"},'
            '{"action":"place","object":"yellow ball","target":"basket"}'
        ),
        "can you shut the garage door please": _answer('{"action":"close","object":"garage door"}'),
        "say 'good evening everyone'": _answer('{"action":"say","text":"good evening everyone"}'),
        "deliver this package to room 214": _answer(
            '{"action":"pick","object":"package"},{"action":"place","object":"package","target":"room 214"}'
        ),
        "press the red button": _answer('{"action":"push","object":"red button"}'),
        "halt!": _answer('{"action":"stop"}'),
        "what's under the bed?": _answer('{"action":"look","relation":"under","target":"bed"}'),
        "mop the floor, please": _answer('{"action":"clean","target":"floor"}'),
        "let go of the hammer": _answer('{"action":"release","object":"hammer"}'),
        "Bring Julia the coffee cup": _answer(
            '{"action":"pick","object":"coffee cup"},{"action":"give","object":"coffee cup","target":"Julia"}'
        ),
        "turn 180 degrees": _answer('{"action":"turn","angle_deg":180}'),
        "pick up the zorblat": _answer('{"action":"pick","object":"zorblat"}'),
        "drag the chair to the window and sit down": UNKNOWN_COMMAND,
        "what is the tallest mountain in Asia?": UNKNOWN_COMMAND,
        "who painted the Mona Lisa?": UNKNOWN_COMMAND,
        "write a limerick about a frog": UNKNOWN_COMMAND,
        "don't open the window": UNKNOWN_COMMAND,
        "how do I get to the airport": UNKNOWN_COMMAND,
        "chop the onions": UNKNOWN_COMMAND,
        "can you lend me some money?": UNKNOWN_COMMAND,
        "asdf qwer zxcv": UNKNOWN_COMMAND,
        "the weather is lovely today": UNKNOWN_COMMAND,
        "what is 12 divided by 4": UNKNOWN_COMMAND,
        "hi, nice to meet you": UNKNOWN_COMMAND,
        "throw the vase at the wall": UNKNOWN_COMMAND,
    }
)


def normalize(command: str) -> str:
    """Reduce a command to lower-case words, so that capitals and punctuation do not make it a new one."""
    return " ".join(re.findall(r"[^\W_]+", command.lower()))


def is_held_out_pair(pair: tuple[str, str]) -> bool:
    """Tell whether training leaves this (object noun, place noun) combination out."""
    return pair == ("cube", "charging dock") or zlib.crc32("|".join(pair).encode()) % _HELD_OUT_SHARE == 0


def _has_held_out_pair(example: Example) -> bool:
    return any(map(is_held_out_pair, example.pairs))


def _distinct(examples: Iterator[Example], seen: set[str]) -> Iterator[Example]:
    for example in examples:
        key = normalize(example.command)
        if key not in seen:
            seen.add(key)
            yield example


def _stream(seed: int) -> Iterator[Example]:
    rng = Random(seed)
    while True:
        yield generate_example(rng)


def held_out_examples(num_examples: int) -> dict[str, list[Example]]:
    """Return the held-out sets by name; the two generated ones have `num_examples` each, the same on every call."""
    seen = {normalize(example.command) for example in (*DEMO_EXAMPLES, *HAND_WRITTEN_EXAMPLES)}
    stream = _distinct(_stream(_EVALUATION_SEED), seen)
    generated = islice((example for example in stream if not _has_held_out_pair(example)), num_examples)
    combinations = islice((example for example in stream if _has_held_out_pair(example)), num_examples)
    return {
        "demo": DEMO_EXAMPLES,
        "hand-written": HAND_WRITTEN_EXAMPLES,
        "generated": list(generated),
        "new combinations": list(combinations),
    }


def training_examples(seed: int, held_out: Collection[Example]) -> Iterator[Example]:
    """Draw training examples without end: no command of `held_out`, no held-out combination."""
    forbidden = {normalize(example.command) for example in held_out}
    for example in _stream(seed):
        if normalize(example.command) not in forbidden and not _has_held_out_pair(example):
            yield example
