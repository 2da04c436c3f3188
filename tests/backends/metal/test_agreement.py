"""The embedded model, which was trained, on conversations with a robot: MLX's logits against the reference's."""

from agreement import compare_logits
from conversation_agreement import conversation_logits


def test_the_embedded_model_agrees_with_the_reference_on_conversations() -> None:
    agreement = compare_logits(*(conversation_logits(backend, first=15) for backend in ("reference", "metal")))
    assert agreement.num_positions >= 512
    assert agreement.mean_kl < 1e-6, str(agreement)
    assert agreement.same_top_share > 0.998, str(agreement)
