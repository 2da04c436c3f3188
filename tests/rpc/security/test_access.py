from __future__ import annotations

import uuid
from typing import get_args

import pytest

from bonsai_edge.rpc.codec import Envelope
from bonsai_edge.rpc.job import Route
from bonsai_edge.rpc.messages import Cancel, ClientMessage, Generate, GetStatus, Halt, Header, Hello, Ping, Resume
from bonsai_edge.rpc.problems import NOT_ALLOWED, OF_ANOTHER_KEY, QUOTA_USED, ROUTING_ID_CHOSEN, role_missing
from bonsai_edge.rpc.security.access import Access
from bonsai_edge.rpc.security.allow_list import AllowedKey, AllowList
from bonsai_edge.rpc.security.authenticator import LOCAL_USER
from bonsai_edge.rpc.security.ownership import Ownership
from bonsai_edge.rpc.security.roles import _NEEDED, Role, needed_role

ARM, LEG, DESK = "a" * 40, "l" * 40, "d" * 40
LISTED = AllowList(
    (
        AllowedKey(name="arm", key=ARM, max_requests=2),
        AllowedKey(name="leg", key=LEG),
        AllowedKey(name="desk", key=DESK, role=Role.CONTROL),
    )
)
ROUTE = Route(b"\0abcd", False)
ID, OTHER_ID = uuid.UUID(int=1).bytes, uuid.UUID(int=2).bytes


class Rights:
    """An `Access` whose allow-list and live requests the test changes."""

    def __init__(self) -> None:
        self.listed = LISTED
        self.alive: set[bytes] = set()
        self.access = Access(lambda: self.listed, self.alive.__contains__)

    def refusal(self, user: str | None, message: ClientMessage, request_id: bytes = ID, route: Route = ROUTE) -> object:
        return self.access.refusal(user, route, Envelope(request_id, Header(), message))

    def generate(self, user: str, request_id: bytes = ID) -> object:
        problem = self.refusal(user, Generate("a"), request_id)
        if problem is None:
            self.alive.add(request_id)
        return problem


@pytest.fixture
def rights() -> Rights:
    return Rights()


def test_every_message_of_a_client_has_a_role() -> None:
    kinds = {kind for member in get_args(ClientMessage) for kind in get_args(member) or (member,)}
    assert kinds == _NEEDED.keys()


def test_message_that_the_table_forgets_is_for_admins() -> None:
    assert needed_role(object()) is Role.ADMIN  # type: ignore[arg-type]


def test_roles_include_those_before_them() -> None:
    assert [[role.includes(other) for other in Role] for role in Role] == [
        [True, False, False],
        [True, True, False],
        [True, True, True],
    ]


def test_without_an_allow_list_everybody_may_do_everything() -> None:
    access = Access(None, lambda _: True)
    route = Route(b"chosen", False)
    for message in (Generate("a"), Cancel((ID,)), GetStatus()):
        assert access.refusal(None, route, Envelope(ID, Header(), message)) is None
    assert access.may_touch(None, ID)


@pytest.mark.parametrize("user", [None, "", "x" * 40, "locals"])
def test_with_one_whoever_is_not_listed_may_do_nothing(rights: Rights, user: str | None) -> None:
    for message in (Hello(), Ping(), GetStatus(), Generate("a"), Cancel(())):
        assert rights.refusal(user, message) is NOT_ALLOWED
    assert not rights.access.may_touch(user, ID)


def test_rights_end_with_the_entry(rights: Rights) -> None:
    assert rights.refusal(ARM, GetStatus()) is None
    rights.listed = AllowList()
    assert rights.refusal(ARM, GetStatus()) is NOT_ALLOWED
    assert not rights.access.may_touch(ARM, ID)


def test_role_decides(rights: Rights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(_NEEDED, GetStatus, Role.CONTROL)
    problem = rights.refusal(ARM, GetStatus())
    assert getattr(problem, "message", None) == "The role of this key does not allow that; it takes 'control'."
    assert rights.refusal(DESK, GetStatus()) is None
    assert rights.refusal(LOCAL_USER, GetStatus()) is None


@pytest.mark.parametrize("routing_id", [b"arm", b"\0abc", b"\0abcde", b"abcde"])
def test_routing_ids_are_given_by_the_server_only(rights: Rights, routing_id: bytes) -> None:
    for user in (ARM, LOCAL_USER):
        assert rights.refusal(user, Hello(), route=Route(routing_id, False)) is ROUTING_ID_CHOSEN


def test_requests_belong_to_the_key_that_sent_them(rights: Rights) -> None:
    assert rights.generate(ARM) is None
    assert rights.refusal(ARM, Cancel((ID,))) is None
    assert rights.refusal(LEG, Cancel((OTHER_ID, ID))) is OF_ANOTHER_KEY
    assert rights.generate(LEG) is OF_ANOTHER_KEY
    rights.alive.clear()
    assert rights.generate(LEG) is OF_ANOTHER_KEY, "the answer may still be fetched"
    for user in (DESK, LOCAL_USER):
        assert rights.refusal(user, Cancel((ID,))) is None
        assert rights.generate(user) is None
    assert rights.refusal(ARM, Cancel((ID,))) is None, "it stays the first one's"


def test_request_over_a_socket_file_is_not_for_keys(rights: Rights) -> None:
    assert rights.generate(LOCAL_USER) is None
    assert rights.refusal(LEG, Cancel((ID,))) is OF_ANOTHER_KEY


def test_unknown_request_may_be_cancelled_by_all_since_that_does_nothing(rights: Rights) -> None:
    assert rights.refusal(LEG, Cancel((ID,))) is None


def test_quota_counts_what_waits_and_runs(rights: Rights) -> None:
    ids = [uuid.UUID(int=number).bytes for number in range(4)]
    assert [rights.generate(ARM, each) for each in ids] == [None, None, QUOTA_USED, QUOTA_USED]
    assert rights.generate(ARM, ids[0]) is None, "a request sent again is no other one"
    rights.alive.discard(ids[0])
    assert rights.generate(ARM, ids[2]) is None
    assert rights.access.alive_of(ARM) == {ids[1]: ROUTE, ids[2]: ROUTE}
    assert rights.access.alive_of(LEG) == {}


def test_flood_of_requests_makes_nobody_forget_what_is_alive() -> None:
    alive = {ID}
    ownership = Ownership(alive.__contains__)
    assert ownership.claim(ARM, ID, ROUTE)
    for user in (ARM, LEG):
        for number in range(100, 2_200):
            assert ownership.claim(user, user[0].encode() + number.to_bytes(15, "big"), ROUTE)
    assert not ownership.claim(LEG, ID, ROUTE)
    assert ownership.is_of_another(LEG, ID)
    assert ownership.is_of_another(LEG, ARM[0].encode() + (2_199).to_bytes(15, "big"))
    assert not ownership.is_of_another(LEG, ARM[0].encode() + (100).to_bytes(15, "big"))


@pytest.mark.parametrize("message", [Halt(), Resume(), Cancel(all=True), Cancel(session="arm")])
def test_orders_that_reach_others_need_the_role_control(rights: Rights, message: ClientMessage) -> None:
    assert rights.refusal(ARM, message) == role_missing("control")
    assert rights.refusal(DESK, message) is None


@pytest.mark.parametrize(
    "message", [Cancel(client=True), Cancel(client=True, session="arm"), Cancel(all=True, client=True)]
)
def test_every_key_may_cancel_what_its_connection_asked_for(rights: Rights, message: Cancel) -> None:
    assert rights.refusal(ARM, message) is None
