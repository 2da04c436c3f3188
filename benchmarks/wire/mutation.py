"""Makes messages that are nearly right: real ones with bytes, frames or values changed. Repeatable by its seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from wire.peer import PROTOCOL

_MAX_CHANGES = 4

_REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("HELLO", {"client": "fuzzer"}),
    ("PING", {"waiting_for": [bytes(16)]}),
    ("CANCEL", {"request_ids": [bytes(range(16))]}),
    ("CANCEL", {"request_ids": [], "session": "s", "client": True, "before_ms": 10}),
    ("CREDIT", {"request_id": bytes(16), "chunks": 4}),
    ("HALT", {"reason": "test"}),
    ("RESUME", {}),
    ("BYE", {}),
    ("REQUEST", {"method": "status"}),
    ("REQUEST", {"method": "model.info"}),
    ("REQUEST", {"method": "tokenize", "text": "go to the dock", "special": True}),
    ("REQUEST", {"method": "detokenize", "token_ids": [1, 2, 300]}),
    ("REQUEST", {"method": "generate", "prompt": "né", "options": {"max_tokens": 2, "temperature": 0.5, "seed": 7}}),
    (
        "REQUEST",
        {
            "method": "chat",
            "messages": [{"role": "system", "content": "short"}, {"role": "user", "content": "dock now"}],
            "options": {"max_tokens": 1, "top_k": 5, "stop": ["x"], "logit_bias": {5: 1.0}, "on_overflow": "refuse"},
        },
    ),
)
_HEADERS: tuple[dict[str, Any], ...] = (
    {},
    {"deadline_ms": 2_000},
    {"deadline_ms": 1, "stream": "none"},
    {"priority": "background", "session": "s", "credit": 1, "detached": False},
    {"requires": ["cancel"], "stream": "sentences", "resume_from": 0},
)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1 << 31,
    1 << 63,
    -(1 << 63),
    0.5,
    float("nan"),
    float("inf"),
    "",
    "x" * 300,
    "\x00",
    "\U0001f916",
    b"",
    bytes(16),
    [],
    {},
    [[[[]]]],
    {"": {}},
    list(range(300)),
    msgspec.msgpack.Ext(5, b"ext"),
    "generate",
    "status",
)
_FRAGMENTS: tuple[bytes, ...] = (
    b"\xc1",  # the byte that MessagePack never uses
    b"\xdf\xff\xff\xff\xff",  # a map of four billion entries
    b"\xdd\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\xa2\xff\xfe",  # not UTF-8
    b"\x82\xa6method\xa6status\xa6method\xa4chat",  # a key twice
    b"\x91" * 40,
    b"\x91" * 3_000,  # nested deeper than a decoder may recurse
    b"\x81\xa1a" * 500,
    b"\x80",
)


class Mutator:
    """Yields client messages as frames, without end; about one in ten is left as it is."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._changes: tuple[Callable[[list[bytes]], None], ...] = (
            self._flip_bits,
            self._cut,
            self._insert,
            self._splice,
            self._drop_frame,
            self._double_frame,
            self._swap_frames,
        )

    def next(self) -> list[bytes]:
        """Return the frames of a message, perhaps malformed, with an id of its own where the id was left alone."""
        rng = self._random
        kind, body = rng.choice(_REQUESTS)
        header: Any = rng.choice(_HEADERS)
        if rng.random() < 0.5:
            body = self._with_other_value(body)
        if rng.random() < 0.2:
            header = self._with_other_value(header)
        frames = [PROTOCOL, kind.encode(), rng.randbytes(16), _encoded(header), _encoded(body)]
        if rng.random() < 0.6:
            for _ in range(rng.randint(1, _MAX_CHANGES)):
                if frames:
                    rng.choice(self._changes)(frames)
        return frames or [b""]

    def _with_other_value(self, value: Any) -> Any:
        """Return a copy in which one thing, at any depth, is another."""
        rng = self._random
        if isinstance(value, dict) and value and rng.random() < 0.8:
            key = rng.choice(list(value))
            if rng.random() < 0.1:
                return {**value, "unknown": rng.choice(_VALUES)}
            return {**value, key: self._with_other_value(value[key])}
        if isinstance(value, list) and value and rng.random() < 0.8:
            index = rng.randrange(len(value))
            return [*value[:index], self._with_other_value(value[index]), *value[index + 1 :]]
        return rng.choice(_VALUES)

    def _any_frame(self, frames: list[bytes]) -> int:
        """Choose the header or the body more often: the other frames are compared as they are."""
        num = len(frames)
        return self._random.choices(range(num), [1] * (num - 2) + [2, 3] if num > 2 else None)[0]

    def _flip_bits(self, frames: list[bytes]) -> None:
        index = self._any_frame(frames)
        changed = bytearray(frames[index])
        for _ in range(self._random.randint(1, 3)):
            if changed:
                changed[self._random.randrange(len(changed))] ^= 1 << self._random.randrange(8)
        frames[index] = bytes(changed)

    def _cut(self, frames: list[bytes]) -> None:
        index = self._any_frame(frames)
        frames[index] = frames[index][: self._random.randint(0, len(frames[index]))]

    def _insert(self, frames: list[bytes]) -> None:
        index = self._any_frame(frames)
        at = self._random.randint(0, len(frames[index]))
        frames[index] = frames[index][:at] + self._random.choice(_FRAGMENTS) + frames[index][at:]

    def _splice(self, frames: list[bytes]) -> None:
        _, body = self._random.choice(_REQUESTS)
        other = _encoded(body)
        index = self._any_frame(frames)
        at = self._random.randint(0, len(frames[index]))
        frames[index] = frames[index][:at] + other[self._random.randint(0, len(other)) :]

    def _drop_frame(self, frames: list[bytes]) -> None:
        del frames[self._any_frame(frames)]

    def _double_frame(self, frames: list[bytes]) -> None:
        index = self._any_frame(frames)
        frames[index:index] = [frames[index]] * self._random.choice((1, 1, 1, 12))

    def _swap_frames(self, frames: list[bytes]) -> None:
        first, second = self._any_frame(frames), self._any_frame(frames)
        frames[first], frames[second] = frames[second], frames[first]


def _encoded(value: Any) -> bytes:
    return msgspec.msgpack.encode(value)
