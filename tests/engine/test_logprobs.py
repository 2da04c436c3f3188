import math

import numpy as np
import pytest

from bonsai_edge.engine.logprobs import Logprobs


def test_probabilities_are_those_of_the_softmax():
    logits = np.log(np.array([1, 2, 5, 2], np.float32)) + 300
    found = Logprobs(logits).of(1, 3)
    assert found.token_id == 1
    assert found.logprob == pytest.approx(math.log(0.2), abs=1e-5)
    assert [token_id for token_id, _ in found.top] == [2, 1, 3]
    assert [logprob for _, logprob in found.top] == pytest.approx([math.log(0.5)] + [math.log(0.2)] * 2, abs=1e-5)


def test_without_alternatives_there_are_none():
    assert Logprobs(np.zeros(4, np.float32)).of(0, 0).top == ()


def test_of_equals_the_lower_ids_are_named():
    assert [token_id for token_id, _ in Logprobs(np.zeros(30, np.float32)).of(29, 5).top] == [0, 1, 2, 3, 4]


def test_more_alternatives_than_tokens_are_all_tokens():
    assert len(Logprobs(np.zeros(3, np.float32)).of(0, 20).top) == 3
