"""Answers of seedling: written in the field order of the shipped JSON Schema, and checked against it.

`bonsai_edge/data/robot_actions.schema.json` is the only place that lists actions and fields.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator

Action = dict[str, str | int | float]

CANNOT = "I can't do that."
NOTHING_TO_DO = "OK."
GREETING = "Hello!"
WELCOME = "You're welcome."


@cache
def load_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of an answer."""
    schema: dict[str, Any] = json.loads(files("bonsai_edge").joinpath("data/robot_actions.schema.json").read_text())
    return schema


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(load_schema())


@cache
def action_fields(name: str) -> tuple[str, ...]:
    """Return the fields of action `name` in the order in which an answer has them, without "action"."""
    return tuple(field for field in load_schema()["$defs"]["actions"][name]["properties"] if field != "action")


def make_action(name: str, **fields: str | int | float | None) -> Action:
    """Build one action with its fields in canonical order; fields that are None are left out."""
    unknown = fields.keys() - set(action_fields(name))
    assert not unknown, f"{name} has no fields {sorted(unknown)}"
    action: Action = {"action": name}
    for field in action_fields(name):
        value = fields.get(field)
        if value is not None:
            action[field] = value
    return action


def render_answer(actions: Sequence[Action], reply: str | None = None) -> str:
    """Write an answer as compact JSON; only an answer without actions may have a reply."""
    answer: dict[str, Any] = {"actions": list(actions)}
    if reply is not None:
        answer["reply"] = reply
    return json.dumps(answer, separators=(",", ":"), ensure_ascii=False)


def parse_answer(text: str) -> list[Action] | None:
    """Return the actions of an answer, or None if `text` is not JSON that the schema allows."""
    try:
        answer = json.loads(text)
    except ValueError:
        return None
    if not _validator().is_valid(answer):
        return None
    actions: list[Action] = answer["actions"]
    return actions
