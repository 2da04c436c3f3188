"""The kernels for a few tokens with AVX-512 and with i8mm, checked on any processor: instructions apart, then the rest.

Where there are such instructions, test_kernels.py checks the kernels as they run; `make test-arm64` emulates i8mm.
"""

import re

import numpy as np
import pytest
from llvmlite import binding, ir

import kernel_checks
from bonsai_edge.cpu_step.aligned import aligned_empty
from bonsai_edge.cpu_step.workspace import make_sums
from bonsai_edge_cpu.emit import I16, I32, I64, constant, load, shuffle, store, vector
from bonsai_edge_cpu.kernels import q1_0_lookups, q1_0_matrix
from bonsai_edge_cpu.kernels.q1_0_lookups import LOOKUP_BYTES
from bonsai_edge_cpu.kernels.q1_0_matrix import PAIR_BYTES
from bonsai_edge_cpu.kernels.quantization import TABLE_TOKENS
from python_calls import callable_from_python

SHORTS = 32


def permvar(table, indices):
    return table[indices & 31]


def vpermi2var(low, indices, high):
    return np.concatenate([low, high])[indices & 63]


def pmulhu(a, b):
    return (((a & 0xFFFF) * (b & 0xFFFF)) >> 16).astype(np.int16)


def pmaddw(a, b):
    return (a * b).reshape(-1, 2).sum(axis=1)


INSTRUCTIONS = {
    "llvm.x86.avx512.permvar.hi.512": (permvar, "i16", 2),
    "llvm.x86.avx512.vpermi2var.hi.512": (vpermi2var, "i16", 3),
    "llvm.x86.avx512.pmulhu.w.512": (pmulhu, "i16", 2),
    "llvm.x86.avx512.pmaddw.d.512": (pmaddw, "i32", 2),
}


def folded_by_llvm(name, element, operands):
    """Return the result of an instruction as LLVM's optimizer computes it for constant operands."""
    count = SHORTS if element == "i16" else SHORTS // 2
    arguments = ", ".join(f"<{SHORTS} x i16> <{', '.join(f'i16 {value}' for value in row)}>" for row in operands)
    parameters = ", ".join([f"<{SHORTS} x i16>"] * len(operands))
    module = binding.parse_assembly(f"""
        declare <{count} x {element}> @{name}({parameters})
        define void @folded(ptr %out) {{
          %result = call <{count} x {element}> @{name}({arguments})
          store <{count} x {element}> %result, ptr %out
          ret void
        }}""")
    binding.initialize_all_targets()
    machine = binding.Target.from_triple("x86_64-linux-gnu").create_target_machine(cpu="znver4", opt=3)
    passes = binding.create_pass_builder(machine, binding.create_pipeline_tuning_options(speed_level=3))
    passes.getModulePassManager().run(module, passes)
    stored = next(line for line in str(module).splitlines() if "store" in line)
    return np.array([int(value) for value in re.findall(rf"{element} (-?\d+)", stored)])


@pytest.mark.parametrize("name", INSTRUCTIONS)
def test_llvm_agrees_on_what_an_instruction_does(name):
    model, element, num_operands = INSTRUCTIONS[name]
    operands = np.random.default_rng(0).integers(-32768, 32768, (num_operands, SHORTS))
    np.testing.assert_array_equal(folded_by_llvm(name, element, operands), model(*operands))


def look_up_function(module, num_tables):
    """Return a function of the module that looks 16-bit indices up in some <32 x i16>, as any processor can."""
    shorts = vector(I16, SHORTS)
    name = f"looked_up_{num_tables}"
    if name in module.globals:
        return module.globals[name]
    function = ir.Function(module, ir.FunctionType(shorts, [shorts] * (num_tables + 1)), name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    builder = ir.IRBuilder(function.append_basic_block())
    *tables, indices = function.args
    address = builder.ptrtoint(builder.alloca(vector(I16, SHORTS * num_tables)), I64)
    for position, table in enumerate(tables):
        store(builder, table, address, 2 * SHORTS * position)
    masked = builder.and_(indices, constant(shorts, SHORTS * num_tables - 1))
    result = ir.Constant(shorts, ir.Undefined)
    for lane in range(SHORTS):
        index = builder.zext(builder.extract_element(masked, constant(I32, lane)), I64)
        entry = load(builder, builder.add(address, builder.shl(index, constant(I64, 1))), I16)
        result = builder.insert_element(result, entry, constant(I32, lane))
    builder.ret(result)
    return function


def emit_instruction(builder, name, return_type, arguments):
    """Stand in for `emit.intrinsic_call`: do what the instructions do, by others that every processor has."""
    wide = vector(I32, SHORTS)
    if name == "llvm.x86.avx512.permvar.hi.512":
        return builder.call(look_up_function(builder.module, 1), arguments)
    if name == "llvm.x86.avx512.vpermi2var.hi.512":
        low, indices, high = arguments
        return builder.call(look_up_function(builder.module, 2), [low, high, indices])
    if name == "llvm.x86.avx512.pmulhu.w.512":
        product = builder.mul(*(builder.zext(argument, wide) for argument in arguments))
        return builder.trunc(builder.lshr(product, constant(wide, 16)), return_type)
    if name == "llvm.x86.avx512.pmaddw.d.512":
        return emit_sum_neighbours(builder, builder.mul(*(builder.sext(argument, wide) for argument in arguments)))
    assert name == "llvm.aarch64.neon.smmla.v4i32.v16i8"
    total, rows, columns = arguments
    rows = shuffle(builder, [*range(8), *range(8), *range(8, 16), *range(8, 16)], rows)
    columns = shuffle(builder, [*range(16), *range(16)], columns)
    product = builder.mul(builder.sext(rows, wide), builder.sext(columns, wide))
    for _ in range(3):
        product = emit_sum_neighbours(builder, product)
    return builder.add(total, product)


def emit_sum_neighbours(builder, values):
    return builder.add(*(shuffle(builder, list(range(odd, values.type.count, 2)), values) for odd in range(2)))


@pytest.fixture(scope="module", params=["lookups", "matrices"])
def multiply_few(request):
    """Return the kernel, its special instructions replaced; called like `kernel_checks.multiply`."""
    module, arrange_part, multiply_part, form_bytes = {
        "lookups": (q1_0_lookups, q1_0_lookups.arrange_lookups, q1_0_lookups.multiply_by_lookups, LOOKUP_BYTES),
        "matrices": (q1_0_matrix, q1_0_matrix.arrange_pairs, q1_0_matrix.multiply_by_matrices, PAIR_BYTES),
    }[request.param]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "intrinsic_call", emit_instruction)
        arrange, multiply = callable_from_python(arrange_part), callable_from_python(multiply_part)

        def run(packed, activations, first, last, out, accumulate=0, token=0):
            count, num_blocks = len(out) - token, packed.shape[1] // 18
            few = aligned_empty((count, num_blocks, form_bytes), np.uint8)
            arrange(activations, token, count, few.ctypes.data, 0, num_blocks)
            address = packed.ctypes.data
            multiply(
                address, packed.shape[1], num_blocks, first, last, activations,
                token, count, few.ctypes.data, make_sums(1, TABLE_TOKENS)[0], out, accumulate, address,
            )  # fmt: skip
            return out

        yield run


def alone(packed, x, num_rows):
    """Return the product of each token by itself, which integer dot products compute."""
    empty = np.zeros((1, num_rows), np.float32)
    return np.concatenate(
        [kernel_checks.multiply(packed, kernel_checks.quantize_rows(row[None]), 0, num_rows, empty.copy()) for row in x]
    )


@pytest.mark.parametrize(("num_rows", "num_columns", "num_tokens"), [(1, 128, 2), (70, 640, 7), (301, 256, 21)])
def test_sums_are_those_of_a_token_alone_to_the_last_bit(multiply_few, num_rows, num_columns, num_tokens):
    rng = np.random.default_rng(num_rows)
    packed = kernel_checks.random_q1_0(rng, num_rows, num_columns)
    x = rng.standard_normal((num_tokens, num_columns)).astype(np.float32)
    out = np.full((num_tokens, num_rows), np.nan, np.float32)
    multiply_few(packed, kernel_checks.quantize_rows(x), 0, num_rows, out)
    np.testing.assert_array_equal(out, alone(packed, x, num_rows))


def test_the_largest_sums_do_not_overflow(multiply_few):
    packed = kernel_checks.random_q1_0(np.random.default_rng(0), 33, 128)
    packed[::2, 2:], packed[1::2, 2:] = 255, 0
    x = np.array([[1.0], [-1.0]], np.float32).repeat(128, axis=1)
    out = multiply_few(packed, kernel_checks.quantize_rows(x), 0, 33, np.empty((2, 33), np.float32))
    np.testing.assert_array_equal(out, alone(packed, x, 33))
    assert (out[0, ::2] > 0).all()
    assert (out[0, 1::2] < 0).all()


def test_sums_are_added_to_what_is_there_and_touch_nothing_else(multiply_few):
    rng = np.random.default_rng(1)
    packed = kernel_checks.random_q1_0(rng, 80, 128)
    x = rng.standard_normal((5, 128)).astype(np.float32)
    out = np.full((5, 83), 3.0, np.float32)
    multiply_few(packed, kernel_checks.quantize_rows(x), 7, 77, out, accumulate=1, token=2)
    np.testing.assert_array_equal(out[2:, 7:77], 3.0 + alone(packed, x[2:], 80)[:, 7:77])
    assert (out[:2] == 3.0).all()
    assert (np.delete(out, np.s_[7:77], axis=1) == 3.0).all()
