"""What the load generator counts and computes."""

from __future__ import annotations

from typing import Any

import pytest

from rpc_load import token_share
from wire.account import Account, Counts
from wire.figures import Latency
from wire.peer import Message
from wire.workers import Report

ID = bytes(16)


def account_of(*messages: tuple[str, dict[str, Any]]) -> Account:
    account = Account()
    account.note_sent(ID)
    for kind, body in messages:
        account.take(Message(kind, ID, body, at=0.0))
    return account


def chunk(index: int, text: str) -> tuple[str, dict[str, Any]]:
    return "CHUNK", {"index": index, "text": text, "token_ids": [1, 2]}


ACCEPTED = ("ACCEPTED", {"queue_position": 0})
FINAL = ("FINAL", {"text": "ab"})


@pytest.mark.parametrize(
    ("messages", "counts"),
    [
        ((ACCEPTED, chunk(0, "a"), chunk(1, "b"), FINAL), Counts(sent=1, finished=1)),
        ((ACCEPTED, chunk(0, "a"), ("ERROR", {})), Counts(sent=1, failed=1)),
        ((("REJECTED", {}),), Counts(sent=1, rejected=1)),
        ((ACCEPTED, chunk(0, "a")), Counts(sent=1, lost=1)),
        ((ACCEPTED, chunk(0, "a"), chunk(1, "b"), FINAL, FINAL), Counts(sent=1, finished=1, doubled=1)),
        ((ACCEPTED, chunk(1, "ab"), FINAL), Counts(sent=1, finished=1, gaps=1)),
        ((ACCEPTED, chunk(0, "a"), FINAL), Counts(sent=1, finished=1, torn=1)),
    ],
)
def test_account_notices_what_a_server_does_wrong(messages: Any, counts: Counts) -> None:
    assert account_of(*messages).counts() == counts
    assert counts.num_broken == counts.lost + counts.doubled + counts.gaps + counts.torn


def test_account_notes_tokens_and_the_first_answer_only() -> None:
    account = account_of(ACCEPTED, chunk(0, "a"), ACCEPTED)
    assert len(account.accept_s) == 1
    assert account.tokens == [(0.0, 2)]


def test_latency_has_no_figures_without_measurements() -> None:
    assert Latency.of([]) == Latency(0, None, None, None)
    assert Latency.of([0.001 * number for number in range(1, 101)]) == Latency(100, 50.0, 99.0, 100.0)
    assert str(Latency.of([0.001])) == "       1      1.00      1.00      1.00"


def test_shares_count_only_while_all_are_at_work() -> None:
    short = Report(tokens=[(1.0, 4), (2.0, 4)], ended_at=2.0)
    long = Report(tokens=[(1.5, 2), (2.0, 2), (3.0, 50)], ended_at=3.0)
    assert token_share([short, long]) == 2.0
    assert token_share([short, Report(ended_at=3.0)]) is None
