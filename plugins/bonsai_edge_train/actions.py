"""The action schema of seedling: which fields each action has, how an answer is written and how one is checked.

An answer is compact JSON: `{"actions":[{"action":"pick","object":"red cube"}]}`, or, for a command outside the schema,
`{"actions":[],"error":"unknown command"}`. Units are part of the field names, so no unit conversion is needed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

Action = dict[str, str | int | float]

TEXT_FIELDS = ("object", "source", "relation", "target", "direction", "state", "text")
NUMBER_FIELDS = ("distance_m", "distance_cm", "angle_deg", "duration_s", "duration_min")
FIELD_ORDER = ("action", *TEXT_FIELDS, *NUMBER_FIELDS)

# action -> (required fields, optional fields)
SCHEMA: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    name: (frozenset(required.split()), frozenset(optional.split()))
    for name, required, optional in (
        ("pick", "object", "source"),
        ("place", "object target", "relation"),
        ("give", "object target", ""),
        ("release", "object", ""),
        ("go", "target", "relation"),
        ("follow", "object", "target"),
        ("move", "direction", "distance_m distance_cm duration_s"),
        ("turn", "", "direction angle_deg target"),
        ("stop", "", ""),
        ("wait", "", "target duration_s duration_min"),
        ("look", "", "relation target direction"),
        ("find", "object", "relation target"),
        ("open", "object", ""),
        ("close", "object", ""),
        ("push", "object", "target direction distance_m distance_cm"),
        ("pull", "object", "target direction distance_m distance_cm"),
        ("switch", "object state", "target"),
        ("clean", "target", ""),
        ("photo", "target", ""),
        ("say", "text", "target"),
    )
}

UNKNOWN_COMMAND = '{"actions":[],"error":"unknown command"}'


def make_action(name: str, **fields: str | int | float | None) -> Action:
    """Build one action with its fields in canonical order; fields that are None are left out."""
    action: Action = {"action": name}
    for field in FIELD_ORDER[1:]:
        value = fields.pop(field, None)
        if value is not None:
            action[field] = value
    assert not fields, f"unknown fields {sorted(fields)}"
    return action


def render_answer(actions: Sequence[Action]) -> str:
    """Write the answer for known actions as compact JSON."""
    return json.dumps({"actions": list(actions)}, separators=(",", ":"), ensure_ascii=False)


def is_valid_answer(text: str) -> bool:
    """Tell whether `text` is JSON of the schema: known actions, required fields present, no unknown field."""
    try:
        answer = json.loads(text)
    except ValueError:
        return False
    if answer == json.loads(UNKNOWN_COMMAND):
        return True
    if not isinstance(answer, dict) or answer.keys() != {"actions"} or not isinstance(answer["actions"], list):
        return False
    return bool(answer["actions"]) and all(_is_valid_action(action) for action in answer["actions"])


def _is_valid_action(action: object) -> bool:
    if not isinstance(action, dict) or action.get("action") not in SCHEMA:
        return False
    required, optional = SCHEMA[action["action"]]
    fields = action.keys() - {"action"}
    return required <= fields <= required | optional and all(
        isinstance(action[field], str if field in TEXT_FIELDS else (int, float)) for field in fields
    )
