from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bonsai_edge.rpc.fair_queue import FairQueue

A, B, C = b"a", b"b", b"c"


def filled(*items: tuple[bytes, int]) -> FairQueue[int]:
    queue: FairQueue[int] = FairQueue()
    for client, item in items:
        queue.push(client, item)
    return queue


def drained(queue: FairQueue[int]) -> list[int]:
    items = []
    while (item := queue.pop()) is not None:
        items.append(item)
    return items


def test_clients_take_turns_and_keep_their_order() -> None:
    queue = filled((A, 1), (A, 2), (A, 3), (B, 10), (C, 20), (C, 21))
    assert drained(queue) == [1, 10, 20, 2, 21, 3]


def test_client_that_was_served_goes_behind_those_that_wait() -> None:
    queue = filled((A, 1), (A, 2))
    assert queue.pop() == 1
    queue.push(B, 10)
    queue.push(B, 11)
    assert drained(queue) == [2, 10, 11]


def test_removed_item_is_not_served() -> None:
    queue = filled((A, 1), (B, 10), (A, 2))
    queue.remove(A, 1)
    queue.remove(B, 10)
    assert (len(queue), queue.num_of(A), queue.num_of(B)) == (1, 1, 0)
    assert drained(queue) == [2]
    with pytest.raises(KeyError):
        queue.remove(A, 2)


@given(st.lists(st.sampled_from([A, B, C]), max_size=12), st.sampled_from([A, B, C]), st.integers(0, 3))
def test_position_is_the_number_served_before(clients: list[bytes], newcomer: bytes, served: int) -> None:
    queue = filled(*((client, place) for place, client in enumerate(clients)))
    for _ in range(served):
        queue.pop()
    position = queue.position_of_next(newcomer)
    queue.push(newcomer, 99)
    assert drained(queue).index(99) == position
