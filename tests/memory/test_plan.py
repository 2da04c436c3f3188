from dataclasses import replace
from pathlib import Path

import pytest

from bonsai_edge.device import DeviceProfile
from bonsai_edge.errors import InsufficientMemoryError, InvalidRequestError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS
from bonsai_edge.memory.plan import plan_memory
from random_bonsai import SPECS

GIB = 1 << 30
WEIGHT_BYTES = 1_158_654_496  # Bonsai-8B-Q1_0.gguf
KV_BYTES_PER_TOKEN = 147_456  # float16, of the 8B


def checkpoint(**changes):
    return Checkpoint(Path("bonsai-8b.gguf"), WEIGHT_BYTES, replace(SPECS["8b"], **changes), {}, {})


def device(available_bytes):
    return DeviceProfile("board", "aarch64", 8 * GIB, available_bytes, "cgroup", 4)


def test_every_byte_has_a_purpose():
    plan = plan_memory(checkpoint(), device(8 * GIB), context=2048)
    assert plan.weight_bytes == WEIGHT_BYTES
    assert plan.kv_cache_bytes == 2048 * KV_BYTES_PER_TOKEN
    assert plan.total_bytes == plan.weight_bytes + plan.kv_cache_bytes + plan.runtime_bytes


def test_the_default_context_is_4096_where_it_fits():
    plan = plan_memory(checkpoint(), device(8 * GIB))
    assert plan.context == 4096
    assert plan.num_pages == 4096 // PAGE_TOKENS


def test_the_default_context_is_not_larger_than_the_models():
    assert plan_memory(checkpoint(context_length=1024), device(8 * GIB)).context == 1024


@pytest.mark.parametrize(("context", "spare_pages"), [(2048, 0), (1024, 3), (512, 1)])
def test_the_default_context_is_halved_until_it_fits(context, spare_pages):
    needed = plan_memory(checkpoint(), device(8 * GIB), context=context).total_bytes
    available = needed + spare_pages * PAGE_TOKENS * KV_BYTES_PER_TOKEN
    assert plan_memory(checkpoint(), device(available)).context == context


def test_a_context_is_kept_exactly_and_its_pages_are_whole():
    plan = plan_memory(checkpoint(), device(8 * GIB), context=1000)
    assert plan.context == 1000
    assert plan.num_pages == 32
    assert plan.kv_cache_bytes == 1024 * KV_BYTES_PER_TOKEN


def test_too_little_memory_is_refused_with_the_exact_shortfall():
    with pytest.raises(InsufficientMemoryError) as caught:
        plan_memory(checkpoint(), device(GIB), context=4096)
    assert str(caught.value) == (
        "random-8b with a context of 4096 tokens needs 1937 MiB (weights 1105, KV cache 576, runtime 256); cgroup "
        "allows 1024 MiB, 913 MiB too few. Choose a smaller context (--context), a smaller model, or free memory."
    )


def test_one_byte_too_few_is_refused_and_exactly_enough_is_taken():
    needed = plan_memory(checkpoint(), device(8 * GIB), context=512).total_bytes
    assert plan_memory(checkpoint(), device(needed)).context == 512
    with pytest.raises(InsufficientMemoryError):
        plan_memory(checkpoint(), device(needed - 1))


@pytest.mark.parametrize("context", [0, -1, 65537])
def test_a_context_that_the_model_does_not_have_is_refused(context):
    with pytest.raises(InvalidRequestError) as caught:
        plan_memory(checkpoint(), device(8 * GIB), context=context)
    assert str(caught.value) == (
        f"A context of {context} tokens was asked for; random-8b has 1 to 65536. Choose a context within that range."
    )
