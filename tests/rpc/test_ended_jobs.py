"""Answers are kept for a while, within bounds of age, number and memory."""

from __future__ import annotations

import itertools

from bonsai_edge.generation import GenerationOptions, TextChunk, TokenLogprob
from bonsai_edge.rpc.answer_stream import AnswerStream
from bonsai_edge.rpc.ended_jobs import KEPT_S, EndedJobs
from bonsai_edge.rpc.job import Job
from bonsai_edge.scheduling.priority import Priority

NUMBERS = itertools.count()


def job(answer: AnswerStream | None = None) -> Job:
    return Job(
        client=b"c",
        priority=Priority.NORMAL,
        arrived_at=0.0,
        request_id=next(NUMBERS).to_bytes(16, "big"),
        route=None,
        prompt="",
        options=GenerationOptions(),
        deadline=None,
        session=None,
        is_detached=False,
        answer=answer or AnswerStream(),
    )


def with_logprobs(num_tokens: int) -> AnswerStream:
    answer = AnswerStream()
    for number in range(num_tokens):
        logprob = TokenLogprob(number, -1.0, tuple((other, -2.0) for other in range(20)))
        answer.push(TextChunk(number, "word", [number], [logprob]))
    return answer


def test_an_answer_is_forgotten_after_its_time() -> None:
    ended, old = EndedJobs(), job()
    ended.add(old, now=0.0)
    assert ended.get(old.request_id, KEPT_S - 1) is old
    assert ended.get(old.request_id, KEPT_S) is None


def test_no_more_than_so_many_are_kept() -> None:
    ended, jobs = EndedJobs(), [job() for _ in range(1_100)]
    for each in jobs:
        ended.add(each, now=0.0)
    assert [ended.get(each.request_id, 0.0) is not None for each in jobs] == [False] * 76 + [True] * 1_024


def test_log_probabilities_count_as_the_memory_that_they_take() -> None:
    """512 tokens with twenty alternatives each take more than a megabyte, whatever the text is."""
    ended, jobs = EndedJobs(), [job(with_logprobs(512)) for _ in range(32)]
    for each in jobs:
        ended.add(each, now=0.0)
    num_kept = sum(ended.get(each.request_id, 0.0) is not None for each in jobs)
    assert 8 <= num_kept <= 16
