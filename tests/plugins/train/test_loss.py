"""Losses against their definitions."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `train`")

from bonsai_edge_train.loss import distillation_loss, find_targets, next_token_loss  # noqa: E402


def test_targets_are_the_tokens_with_weight_and_the_positions_before_them():
    token_ids = torch.tensor([[10, 11, 12, 13], [20, 21, 22, 23]])
    targets = find_targets(token_ids, torch.tensor([[0.5, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.1]]))
    assert targets.rows[:3].tolist() == [0, 1, 6]
    assert targets.token_ids[:3].tolist() == [11, 12, 23]
    assert targets.weights[:3].tolist() == pytest.approx([1.0, 1.0, 0.1])


@pytest.mark.parametrize(("length", "num_targets"), [(2, 64), (33, 64), (34, 128)])
def test_targets_are_rounded_up_to_a_multiple_of_64_with_weight_0(length, num_targets):
    targets = find_targets(torch.ones(2, length, dtype=torch.int64), torch.ones(2, length))
    assert len(targets.rows) == len(targets.token_ids) == len(targets.weights) == num_targets
    assert targets.weights.sum() == 2 * (length - 1)


def test_loss_is_the_weighted_cross_entropy_of_the_next_token():
    torch.manual_seed(0)
    token_ids, weights = torch.randint(0, 5, (2, 4)), torch.rand(2, 4)
    weights[0, 2] = 0.0
    logits = torch.randn(2, 4, 5)
    log_probabilities = logits.log_softmax(-1)
    expected = sum(
        -weights[b, t + 1] * log_probabilities[b, t, token_ids[b, t + 1]] for b in range(2) for t in range(3)
    )
    targets = find_targets(token_ids, weights)
    torch.testing.assert_close(next_token_loss(logits.flatten(0, 1)[targets.rows], targets), expected)


def test_distillation_is_the_tempered_divergence_from_the_teacher_times_temperature_squared():
    torch.manual_seed(0)
    student, teacher, weights = torch.randn(3, 5), torch.randn(3, 5), torch.tensor([1.0, 0.1, 0.5])
    p, q = (teacher / 2).softmax(-1), (student / 2).softmax(-1)
    expected = 4 * (weights * (p * (p / q).log()).sum(-1)).sum()
    torch.testing.assert_close(distillation_loss(student, teacher, 2.0, weights), expected)


def test_a_student_like_its_teacher_has_no_distillation_loss():
    logits = torch.randn(3, 5)
    assert distillation_loss(logits, logits + 1.0, 3.0, torch.ones(3)).abs() < 1e-5
