"""Logits of the reference, of `cpu` and of `metal` against llama.cpp's, on the same weights and text.

llama.cpp runs each file twice: as it is (its Q1_0 path rounds activations to int8) and expanded to float32.
"""

import json
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

import bonsai_edge
from agreement import compare_logits
from bonsai_edge.model_store import resolve_model_path
from f32_gguf import write_dequantized
from llama_cpp_peer import LlamaCpp

NUM_TOKENS = 512
MOST_KL_IN_FLOAT32 = 1e-5  # llama.cpp keeps keys and values in float16
LEAST_COSINE_IN_FLOAT32 = 0.99999
MOST_KL_OF_Q1_0 = 1e-2  # 1e-3 to 4e-3 is usual on small random files: more means that weights are read wrongly

ENGLISH = Path(__file__).parents[2] / "LICENSE"
CONVERSATIONS = Path(__file__).parent / "data" / "robot_conversations.json"
DEMO_COMMANDS = [
    "pick up the red cube and bring it to the charging dock",
    "go to the kitchen and open the fridge",
    "turn left 90 degrees, then drive forward two meters",
    "stop",
    "follow me to the door",
]


@dataclass
class Subject:
    """A model file, texts of at least 512 tokens together, and the logits of each way to run them."""

    name: str
    path: Path
    scratch: Path
    texts: list[list[int]] = field(default_factory=list)

    @property
    def context(self):
        return max(map(len, self.texts))

    @cached_property
    def float32_path(self):
        return write_dequantized(self.path, self.scratch / f"{self.name}-f32.gguf")

    @cached_property
    def reference(self):
        return self.run_ours("reference")

    @cached_property
    def cpu(self):
        return self.run_ours("cpu")

    @cached_property
    def metal(self):
        return self.run_ours("metal")

    @cached_property
    def llama_cpp_float32(self):
        return self.run_llama_cpp(self.float32_path)

    @cached_property
    def llama_cpp_q1_0(self):
        return self.run_llama_cpp(self.path)

    def run_ours(self, backend):
        with bonsai_edge.load(self.path, backend=backend, context=self.context) as model:
            return np.concatenate([model.logits(token_ids) for token_ids in self.texts])

    def run_llama_cpp(self, path):
        with LlamaCpp(path, self.context) as llama:
            return np.concatenate([llama.logits(token_ids) for token_ids in self.texts])


def english_text(path, num_tokens=NUM_TOKENS):
    with bonsai_edge.load(path, backend="reference", context=32) as model:
        token_ids = model.tokenizer.encode(ENGLISH.read_text())[:num_tokens]
    assert len(token_ids) == num_tokens
    return token_ids


def robot_conversations(path):
    with bonsai_edge.load(path, backend="reference", context=32) as model:
        texts = [
            model.encode_prompt([{"role": "user", "content": command}]) + model.tokenizer.encode(answer)
            for command, answer in json.loads(CONVERSATIONS.read_text())
        ]
    assert sum(map(len, texts)) >= NUM_TOKENS
    return texts


@pytest.fixture(scope="module", params=["seedling", "tiny", pytest.param("1.7b", marks=pytest.mark.slow)])
def subject(request, tmp_path_factory):
    scratch = tmp_path_factory.mktemp(request.param)
    if request.param == "seedling":
        path = resolve_model_path("seedling")
        texts = robot_conversations(path)
    else:
        path = request.getfixturevalue({"tiny": "tiny_model", "1.7b": "bonsai_1_7b"}[request.param])
        texts = [english_text(path)]
    subject = Subject(request.param, path, scratch, texts)
    yield subject
    for large_file in scratch.glob("*-f32.gguf"):
        large_file.unlink()


def test_the_reference_agrees_with_llama_cpp_in_float32(subject, report):
    agreement = compare_logits(subject.llama_cpp_float32, subject.reference)
    report(f"{subject.name}: reference against llama.cpp F32", agreement)
    assert agreement.mean_kl <= MOST_KL_IN_FLOAT32
    assert agreement.least_cosine >= LEAST_COSINE_IN_FLOAT32


def test_llama_cpp_reads_the_same_weights_from_q1_0_as_from_the_expanded_file(subject, report):
    agreement = compare_logits(subject.llama_cpp_float32, subject.llama_cpp_q1_0)
    report(f"{subject.name}: llama.cpp Q1_0 against llama.cpp F32", agreement)
    assert agreement.mean_kl <= MOST_KL_OF_Q1_0


def test_cpu_is_as_near_to_the_reference_as_llama_cpp_is_to_its_float32_run(subject, report):
    theirs = compare_logits(subject.llama_cpp_float32, subject.llama_cpp_q1_0)
    ours = compare_logits(subject.reference, subject.cpu)
    report(f"{subject.name}: cpu against reference", ours)
    assert ours.mean_kl <= 1.2 * theirs.mean_kl
    if subject.name == "seedling":
        assert ours.same_top_share >= 0.99


def test_metal_is_as_near_to_the_reference_as_float32_is(subject, report):
    """By MLX on the CPU, which rounds no activations; the KV cache is float16."""
    if subject.name == "1.7b":
        pytest.skip("MLX takes hours for it on a CPU")
    agreement = compare_logits(subject.reference, subject.metal)
    report(f"{subject.name}: metal against reference", agreement)
    assert agreement.mean_kl <= MOST_KL_IN_FLOAT32
    assert agreement.least_cosine >= LEAST_COSINE_IN_FLOAT32


def test_yarn_agrees_with_llama_cpp_beyond_the_original_context(tiny_model, tmp_path, report):
    token_ids = english_text(tiny_model, num_tokens=1600)
    beyond = slice(1024, None)
    subject = Subject("tiny", tiny_model, tmp_path, [token_ids])
    agreement = compare_logits(subject.llama_cpp_float32[beyond], subject.reference[beyond])
    report("tiny, positions 1024 to 1599: reference against llama.cpp F32", agreement)
    assert agreement.mean_kl <= MOST_KL_IN_FLOAT32
    assert agreement.least_cosine >= LEAST_COSINE_IN_FLOAT32


@pytest.mark.parametrize("command", DEMO_COMMANDS)
def test_demo_commands_have_one_answer(command, report):
    answers = {}
    for backend in ("reference", "cpu", "metal"):
        with bonsai_edge.load("seedling", backend=backend) as model:
            messages = [{"role": "user", "content": command}]
            result = model.generate_text(messages, temperature=0, max_tokens=200)
            prompt_ids, stop_ids = model.encode_prompt(messages), model.tokenizer.stop_ids
        assert result.finish_reason == "stop"
        answers[backend] = result.token_ids
    with LlamaCpp(resolve_model_path("seedling"), context=512) as llama:
        answers["llama.cpp"] = llama.greedy(prompt_ids, stop_ids, max_tokens=200)
    report(command, result.text)
    assert answers["reference"] == answers["cpu"] == answers["metal"] == answers["llama.cpp"]
    assert json.loads(result.text)["actions"]
