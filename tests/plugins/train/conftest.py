"""What the tests of training share: an independent reader of Q1_0, a small model, its tokenizer and its data."""

import json

import numpy as np
import pytest

COMMANDS = {
    "halt now": '{"actions":[{"action":"stop"}]}',
    "go to the door": '{"actions":[{"action":"go","target":"door"}]}',
    "pick up the cup": '{"actions":[{"action":"pick","object":"cup"}]}',
}


def unpack_q1_0(blocks):
    """Decode (rows, groups * 18) uint8 to (rows, groups * 128) float32 by the format's definition; gguf 0.19 cannot."""
    rows = len(blocks)
    blocks = blocks.reshape(rows, -1, 18)
    scales = blocks[:, :, :2].copy().view("<f2").astype(np.float32)
    positive = np.unpackbits(blocks[:, :, 2:], axis=-1, bitorder="little").astype(bool)
    return np.where(positive, scales, -scales).reshape(rows, -1)


@pytest.fixture(scope="session")
def dequantize_q1_0():
    return unpack_q1_0


@pytest.fixture(scope="session")
def commands():
    """Commands and their answers."""
    return COMMANDS


@pytest.fixture(scope="session")
def tokenizer():
    vocabulary = pytest.importorskip("bonsai_edge_train.vocabulary")
    return vocabulary.train_tokenizer(
        [f"user\n{command}\nassistant\n{answer}" for command, answer in COMMANDS.items()], 300
    )


@pytest.fixture
def conversations(tmp_path):
    """A file of the commands in the chat format."""
    path = tmp_path / "commands.jsonl"
    lines = [
        json.dumps({"messages": [{"role": "user", "content": command}, {"role": "assistant", "content": answer}]})
        for command, answer in COMMANDS.items()
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def write_config(tmp_path, conversations):
    """Return a function that writes a tiny configuration, with keys of its tables changed, and returns its path."""

    def write(**changes):
        tables = {
            "run": {"directory": str(tmp_path / "run")},
            "model": {
                "vocab_size": 300, "hidden_size": 128, "intermediate_size": 128, "num_layers": 1, "num_heads": 2,
                "num_kv_heads": 1, "context_length": 128,
            },
            "data": {"train": str(conversations), "development": str(conversations)},
            "schedule": {"warmup_steps": 2},
            "training": {
                "steps": 8, "tokens_per_batch": 128, "log_every": 2, "evaluate_every": 4, "checkpoint_every": 4,
            },
        }  # fmt: skip
        lines = ['name = "tiny"']
        for table in {**tables, **changes}:
            keys = {**tables.get(table, {}), **changes.get(table, {})}
            lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
        path = tmp_path / "tiny.toml"
        path.write_text("\n".join(lines))
        return path

    return write
