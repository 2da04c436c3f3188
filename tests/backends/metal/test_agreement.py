"""The embedded model, which was trained, on conversations with a robot: MLX's logits against the reference's."""

import json
from pathlib import Path

import numpy as np

import bonsai_edge
from agreement import compare_logits

CONVERSATIONS = Path(__file__).parents[2] / "peer" / "data" / "robot_conversations.json"


def test_the_embedded_model_agrees_with_the_reference_on_conversations() -> None:
    expected, found = (conversation_logits(backend) for backend in ("reference", "metal"))
    agreement = compare_logits(expected, found)
    assert agreement.mean_kl < 1e-6, str(agreement)
    assert agreement.same_top_share > 0.998, str(agreement)


def conversation_logits(backend: str) -> np.ndarray:
    with bonsai_edge.load("seedling", backend=backend, require_backend=True, context=512) as model:
        texts = [
            model.encode_prompt([{"role": "user", "content": command}]) + model.tokenizer.encode(answer)
            for command, answer in json.loads(CONVERSATIONS.read_text())[:15]
        ]
        assert sum(map(len, texts)) >= 512
        return np.concatenate([model.logits(token_ids) for token_ids in texts])
