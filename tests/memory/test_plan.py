from dataclasses import replace
from pathlib import Path

import pytest

from bonsai_edge.backend import DeviceMemory
from bonsai_edge.device import DeviceProfile, MemoryLimit
from bonsai_edge.errors import InsufficientMemoryError, InvalidRequestError
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import PAGE_TOKENS, KVType
from bonsai_edge.memory.plan import MemoryPlan, plan_memory
from bonsai_edge.reference import ReferenceBackend
from random_bonsai import SPECS

MIB, GIB = 1 << 20, 1 << 30
WEIGHT_BYTES = 1_158_654_496  # Bonsai-8B-Q1_0.gguf
PAGE_BYTES = {KVType.F16: 32 * 147_456, KVType.Q8: 32 * 78_336, KVType.Q4: 32 * 41_472}  # of the 8B
RESIDENT_BYTES = 100 * MIB


class FakeBackend(ReferenceBackend):
    """A backend with round numbers, whose KV pages are as large as their types say."""

    name = "fake"

    def page_bytes(self, spec, kv_type):
        return PAGE_TOKENS * spec.kv_bytes_per_token(kv_type)

    def scratch_bytes(self, spec, threads, sequences):
        return (10 + threads + sequences) * MIB

    def compiler_bytes(self, kv_type):
        return 7 * MIB


def checkpoint(**changes):
    return Checkpoint(Path("bonsai-8b.gguf"), WEIGHT_BYTES, replace(SPECS["8b"], **changes), {}, {})


def device(process_bytes, *more_limits):
    limits = (MemoryLimit("cgroup", process_bytes - RESIDENT_BYTES, process_bytes), *more_limits)
    return DeviceProfile("board", "aarch64", 8 * GIB, limits, RESIDENT_BYTES, 4)


def plan(process_bytes=8 * GIB, **wanted):
    return plan_memory(checkpoint(), device(process_bytes), FakeBackend(), 2, **wanted)


def bytes_for(context, kv_type):
    """What a plan with this KV cache needs."""
    return plan(context=context, kv_type=kv_type).total_bytes


def test_every_byte_has_a_purpose():
    made = plan(context=2048)
    assert made.components == {
        "weights": WEIGHT_BYTES,
        "kv_cache": 64 * PAGE_BYTES[KVType.F16],
        "scratch": 13 * MIB,
        "tokenizer": 4_000_000 + 120 * 151_669,
        "interpreter": RESIDENT_BYTES,
        "compiler": 7 * MIB,
        "headroom": 32 * MIB,
    }
    assert made.total_bytes == sum(made.components.values())
    assert made.predicted_peak_bytes == made.total_bytes - 32 * MIB


def test_f16_with_the_default_context_is_the_first_choice():
    made = plan()
    assert (made.context, made.kv_type, made.num_pages) == (4096, KVType.F16, 4096 // PAGE_TOKENS)


def test_default_context_is_not_larger_than_the_models():
    assert plan_memory(checkpoint(context_length=1000), device(8 * GIB), FakeBackend()).context == 1000


@pytest.mark.parametrize(
    ("fits", "chosen"),
    [
        ((4096, KVType.F16), (4096, KVType.F16)),
        ((4064, KVType.F16), (4096, KVType.Q8)),
        ((4096, KVType.Q8), (4096, KVType.Q8)),
        ((4064, KVType.Q8), (3840, KVType.Q8)),
        ((2048, KVType.Q8), (2048, KVType.Q8)),
        ((2016, KVType.Q8), (3584, KVType.Q4)),
        ((990, KVType.Q4), (768, KVType.Q4)),
        ((512, KVType.Q4), (512, KVType.Q4)),
    ],
    ids=lambda pair: f"{pair[0]}-{pair[1].value}",
)
def test_exactness_is_given_up_first_then_half_the_context_then_more_exactness_then_context(fits, chosen):
    made = plan(bytes_for(*fits))
    assert (made.context, made.kv_type) == chosen
    assert made.fits
    assert made.remedy is None


def test_last_type_of_a_backend_goes_down_to_the_least_context():
    class F16Only(FakeBackend):
        kv_types = (KVType.F16,)

    made = plan_memory(checkpoint(), device(bytes_for(700, KVType.F16)), F16Only(), 2)
    assert (made.context, made.kv_type) == (512, KVType.F16)


def test_kernels_that_are_not_compiled_yet_count_for_their_type_alone():
    class HalfWarmBackend(FakeBackend):
        def compiler_bytes(self, kv_type):
            return (7 if kv_type is KVType.F16 else 407) * MIB

    def chosen(process_bytes):
        made = plan_memory(checkpoint(), device(process_bytes), HalfWarmBackend(), 2)
        return made.kv_type, made.context, made.compiler_bytes // MIB

    assert chosen(bytes_for(4096, KVType.F16)) == (KVType.F16, 4096, 7)
    assert chosen(bytes_for(4096, KVType.F16) - 1) == (KVType.Q8, 2304, 407)


def test_type_that_was_asked_for_stays_and_the_context_follows():
    made = plan(bytes_for(1500, KVType.F16), kv_type=KVType.F16)
    assert (made.context, made.kv_type) == (1280, KVType.F16)


def test_context_that_was_asked_for_stays_exactly_and_the_type_follows():
    made = plan(bytes_for(1000, KVType.Q8), context=1000)
    assert (made.context, made.kv_type, made.num_pages) == (1000, KVType.Q8, 32)
    assert made.kv_cache_bytes == 32 * PAGE_BYTES[KVType.Q8]


def test_context_beyond_the_default_is_taken_when_asked_for():
    assert plan(context=32768).context == 32768


def test_sessions_multiply_the_pages_and_nothing_else_but_their_logits():
    one, three = plan(context=1000), plan(context=1000, sessions=3)
    assert three.num_pages == 3 * one.num_pages == 96
    assert three.kv_cache_bytes == 3 * one.kv_cache_bytes
    assert three.total_bytes - one.total_bytes == 2 * one.kv_cache_bytes + 2 * MIB


def test_heads_that_do_not_divide_into_groups_are_not_quantized():
    model = checkpoint(head_dim=80)
    assert plan_memory(model, device(bytes_for(700, KVType.F16)), FakeBackend(), 2).kv_type is KVType.F16
    with pytest.raises(InvalidRequestError) as caught:
        plan_memory(model, device(8 * GIB), FakeBackend(), kv_type=KVType.Q8)
    assert str(caught.value) == (
        "A KV cache of type q8 was asked for; backend 'fake' has f16 for random-8b. Choose one of them, or leave it "
        "out."
    )


def test_smallest_limit_binds_and_is_named():
    limits = [MemoryLimit("MemAvailable", 3 * GIB, 3 * GIB), MemoryLimit("RLIMIT_AS", 4 * GIB, 4 * GIB)]
    made = plan_memory(checkpoint(), device(5 * GIB, *limits), FakeBackend())
    assert (made.limit_source, made.limit_bytes) == ("MemAvailable", 3 * GIB)
    made = plan_memory(checkpoint(), device(5 * GIB, *limits), FakeBackend(), memory_bytes=2 * GIB)
    assert (made.limit_source, made.limit_bytes) == ("--memory", 2 * GIB)
    made = plan_memory(checkpoint(), device(5 * GIB), FakeBackend(), memory_bytes=6 * GIB)
    assert (made.limit_source, made.limit_bytes) == ("cgroup", 5 * GIB)


def test_limit_that_does_not_count_mapped_files_has_room_for_them_besides():
    limit = MemoryLimit("RLIMIT_DATA", GIB, GIB, counts_mapped=False)
    made = plan_memory(checkpoint(), device(8 * GIB, limit), FakeBackend())
    assert (made.limit_source, made.limit_bytes) == ("RLIMIT_DATA", GIB + WEIGHT_BYTES)
    made = plan_memory(checkpoint(), device(8 * GIB, limit), FakeBackend(), weights_are_mapped=False)
    assert (made.limit_source, made.limit_bytes) == ("RLIMIT_DATA", GIB)


def test_one_byte_too_few_does_not_fit_and_exactly_enough_does():
    needed = bytes_for(512, KVType.Q4)
    assert plan(needed).fits
    made = plan(needed - 1)
    assert (made.fits, made.shortfall_bytes, made.context, made.kv_type) == (False, 1, 512, KVType.Q4)


def test_too_little_memory_is_refused_with_the_exact_shortfall_and_what_would_fit():
    with pytest.raises(InsufficientMemoryError) as caught:
        plan(bytes_for(1300, KVType.F16), context=2048, kv_type=KVType.F16).require_fit("bonsai")
    shortfall = (64 - 41) * PAGE_BYTES[KVType.F16]
    assert caught.value.cause == (
        "bonsai with a context of 2048 tokens and a KV cache of type f16 needs 1,567 MiB (weights 1,105, kv cache 288, "
        "scratch 13, tokenizer 22, interpreter 100, compiler 7, headroom 32); cgroup allows 1,462 MiB, 104 MiB "
        f"({shortfall:,} bytes) too few."
    )
    assert caught.value.remedy == (
        "Choose a smaller context (--context 1280 fits), a smaller KV type (--kv q8 fits), a smaller model (weights of "
        "1,001 MiB fit), free memory, or risk it with --force."
    )


def test_remedies_that_do_not_help_are_said_not_to():
    with pytest.raises(InsufficientMemoryError) as caught:
        plan(GIB, sessions=2).require_fit("bonsai")
    assert caught.value.cause.startswith("bonsai with a context of 512 tokens for each of 2 sessions and a KV cache ")
    assert caught.value.remedy == (
        "Choose a smaller context (none is small enough), a smaller KV type (none is small enough), fewer sessions "
        "(--sessions), a smaller model (weights of 809 MiB fit), free memory, or risk it with --force."
    )


def test_context_of_a_remedy_may_be_smaller_than_the_least_that_is_chosen():
    made = plan(bytes_for(100, KVType.Q4))
    assert made.remedy is not None
    assert made.remedy.startswith("Choose a smaller context (--context 128 fits), ")


@pytest.mark.parametrize("context", [0, -1, 65537])
def test_context_that_the_model_does_not_have_is_refused(context):
    with pytest.raises(InvalidRequestError) as caught:
        plan(context=context)
    assert str(caught.value) == (
        f"A context of {context} tokens was asked for; random-8b has 1 to 65536. Choose a context within that range."
    )


@pytest.mark.parametrize("sessions", [0, -1, 1025])
def test_number_of_sessions_that_makes_no_sense_is_refused(sessions):
    with pytest.raises(InvalidRequestError, match=f"^Room for {sessions} sessions was asked for; 1 to 1024 make sense"):
        plan(sessions=sessions)


def test_plan_that_was_held_against_nothing_fits():
    MemoryPlan(context=256, weight_bytes=1, kv_cache_bytes=1, runtime_bytes=1).require_fit("anything")


class CardBackend(FakeBackend):
    """A backend with memory of its own, in which `room` bytes are free."""

    copies_weights = True

    def __init__(self, room):
        self.room = room

    def device_memory(self):
        return DeviceMemory("the memory of the card", self.room)


def card_plan(process_bytes=8 * GIB, room=24 * GIB, **wanted):
    return plan_memory(checkpoint(), device(process_bytes), CardBackend(room), 2, **wanted)


def on_card(context, kv_type):
    """What a plan with this KV cache needs on the card."""
    return WEIGHT_BYTES + 13 * MIB + -(-context // PAGE_TOKENS) * PAGE_BYTES[kv_type]


IN_PROCESS = RESIDENT_BYTES + 4_000_000 + 120 * 151_669 + (7 + 32) * MIB


def test_memory_of_a_card_is_a_limit_of_its_own():
    made = card_plan(room=on_card(4096, KVType.F16) - 1)
    assert (made.context, made.kv_type) == (4096, KVType.Q8)
    assert (made.limit_source, made.limit_bytes) == ("the memory of the card", on_card(4096, KVType.F16) - 1)
    assert made.total_bytes == on_card(4096, KVType.Q8)
    assert set(made.counted_components) == {"weights", "kv_cache", "scratch"}
    assert made.predicted_peak_bytes == IN_PROCESS - 32 * MIB


def test_what_lies_on_a_card_does_not_count_in_the_process():
    made = card_plan(process_bytes=IN_PROCESS)
    assert (made.fits, made.limit_source, made.total_bytes) == (True, "cgroup", IN_PROCESS)
    assert (made.context, made.kv_type) == (4096, KVType.F16)


def test_process_that_is_too_small_for_itself_is_refused_though_the_card_has_room():
    with pytest.raises(InsufficientMemoryError) as caught:
        card_plan(process_bytes=IN_PROCESS - 1).require_fit("bonsai")
    assert "(tokenizer 22, interpreter 100, compiler 7, headroom 32); cgroup allows" in caught.value.cause
    assert caught.value.remedy == (
        "Choose a smaller context (none is small enough), a smaller KV type (none is small enough), free memory, or "
        "risk it with --force."
    )


def test_card_that_is_too_small_is_named_with_what_would_fit():
    with pytest.raises(InsufficientMemoryError) as caught:
        card_plan(room=on_card(1300, KVType.F16), context=2048, kv_type=KVType.F16).require_fit("bonsai")
    assert "(weights 1,105, kv cache 288, scratch 13); the memory of the card allows" in caught.value.cause
    assert caught.value.remedy.startswith("Choose a smaller context (--context 1280 fits), a smaller KV type (--kv q8")


def test_weights_that_were_read_stay_in_the_process_beside_the_copy_of_the_backend():
    read, mapped = card_plan(weights_are_mapped=False), card_plan()
    assert read.components["weights_copy"] == WEIGHT_BYTES
    assert "weights_copy" not in mapped.components
    assert read.predicted_peak_bytes - mapped.predicted_peak_bytes == WEIGHT_BYTES


def test_copied_weights_count_where_mapped_files_do_not():
    class SharedMemoryBackend(FakeBackend):
        copies_weights = True

    limit = MemoryLimit("RLIMIT_DATA", GIB, GIB, counts_mapped=False)
    made = plan_memory(checkpoint(), device(8 * GIB, limit), SharedMemoryBackend())
    assert (made.limit_source, made.limit_bytes) == ("RLIMIT_DATA", GIB)
    assert made.components["weights"] == WEIGHT_BYTES
