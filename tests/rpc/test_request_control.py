"""Which requests a CANCEL means."""

from __future__ import annotations

import time

import msgspec
import pytest

from bonsai_edge.rpc.messages import Cancel
from bonsai_edge.rpc.request_control import Selection

ID, OTHER = b"i" * 16, b"o" * 16
CLIENT = b"client"


def is_meant(
    message: Cancel, *, request_id: bytes = ID, session: str | None = None, client: bytes = CLIENT, age_s: float = 10.0
) -> bool:
    selection = Selection.of(message, CLIENT)
    return selection.includes(request_id, session, client, time.monotonic() - age_s)


def test_what_names_nothing_selects_nothing() -> None:
    assert not is_meant(Cancel())
    assert not is_meant(Cancel(before_ms=0))


@pytest.mark.parametrize("message", [Cancel((ID,)), Cancel((OTHER, ID)), Cancel(all=True), Cancel(client=True)])
def test_each_selector_alone(message: Cancel) -> None:
    assert is_meant(message)


def test_others_are_not_meant() -> None:
    assert not is_meant(Cancel((OTHER,)))
    assert not is_meant(Cancel(client=True), client=b"another")
    assert not is_meant(Cancel(session="arm"), session="base")
    assert not is_meant(Cancel(session="arm"), session=None)
    assert is_meant(Cancel(session="arm"), session="arm", client=b"another")


def test_selectors_narrow_one_another() -> None:
    assert is_meant(Cancel((ID,), session="arm"), session="arm")
    assert not is_meant(Cancel((ID,), session="arm"), session="base")
    assert not is_meant(Cancel((OTHER,), session="arm"), session="arm")
    assert not is_meant(Cancel(all=True, session="arm"), session="base")


def test_recent_requests_can_be_spared() -> None:
    assert is_meant(Cancel(all=True, before_ms=5_000), age_s=10)
    assert not is_meant(Cancel(all=True, before_ms=5_000), age_s=1)
    assert not is_meant(Cancel((ID,), before_ms=5_000), age_s=1)


def test_name_of_a_session_ends_where_its_text_ends() -> None:
    assert msgspec.convert({"session": "arm"}, Cancel).session == "arm"
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"session": "arm\n"}, Cancel)
