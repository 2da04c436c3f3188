"""Short names for the LLVM instructions that the vector kernels are made of."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from llvmlite import ir

I1, I8, I16, I32, I64 = (ir.IntType(width) for width in (1, 8, 16, 32, 64))
F32 = ir.FloatType()


def vector(element: ir.Type, count: int) -> ir.VectorType:
    """Return the type <count x element>."""
    return ir.VectorType(element, count)


def constant(type_: ir.Type, value: float) -> ir.Constant:
    """Return a constant, the same in every lane of a vector."""
    return ir.Constant(type_, [value] * type_.count if isinstance(type_, ir.VectorType) else value)


def load(builder: ir.IRBuilder, address: ir.Value, type_: ir.Type, offset: int = 0, align: int = 1) -> ir.Value:
    """Load from an i64 address plus a constant number of bytes."""
    loaded = builder.load(builder.inttoptr(_offset(builder, address, offset), type_.as_pointer()))
    loaded.align = align
    return loaded


def store(builder: ir.IRBuilder, value: ir.Value, address: ir.Value, offset: int = 0, align: int = 1) -> None:
    """Store to an i64 address plus a constant number of bytes."""
    stored = builder.store(value, builder.inttoptr(_offset(builder, address, offset), value.type.as_pointer()))
    stored.align = align


def splat(builder: ir.IRBuilder, scalar: ir.Value, count: int) -> ir.Value:
    """Repeat a scalar in every lane."""
    undefined = ir.Constant(vector(scalar.type, count), ir.Undefined)
    single = builder.insert_element(undefined, scalar, constant(I32, 0))
    return builder.shuffle_vector(single, undefined, constant(vector(I32, count), 0))


def halve(builder: ir.IRBuilder, value: ir.Value) -> tuple[ir.Value, ir.Value]:
    """Split a vector into its lower and upper half."""
    half = value.type.count // 2
    low, high = (
        builder.shuffle_vector(value, value, ir.Constant(vector(I32, half), list(range(start, start + half))))
        for start in (0, half)
    )
    return low, high


def concatenate(builder: ir.IRBuilder, *parts: ir.Value) -> ir.Value:
    """Join one, two, four … vectors of one type."""
    joined = list(parts)
    while len(joined) > 1:
        lanes = range(2 * joined[0].type.count)
        joined = [shuffle(builder, lanes, *pair) for pair in zip(joined[::2], joined[1::2], strict=True)]
    return joined[0]


def reduce_lanes(builder: ir.IRBuilder, value: ir.Value, combine: Callable[[ir.Value, ir.Value], ir.Value]) -> ir.Value:
    """Combine all lanes of a vector into one scalar in a fixed order: halves, quarters and so on."""
    while value.type.count > 1:
        value = combine(*halve(builder, value))
    return builder.extract_element(value, constant(I32, 0))


def sum_lanes(builder: ir.IRBuilder, value: ir.Value) -> ir.Value:
    """Add all lanes of a float vector in the order of `reduce_lanes`."""
    return reduce_lanes(builder, value, builder.fadd)


def shuffle(builder: ir.IRBuilder, lanes: Sequence[int], low: ir.Value, high: ir.Value | None = None) -> ir.Value:
    """Return the named lanes; those of `high` count on from the last of `low`."""
    return builder.shuffle_vector(low, low if high is None else high, ir.Constant(vector(I32, len(lanes)), list(lanes)))


def transpose(builder: ir.IRBuilder, rows: Sequence[ir.Value]) -> list[ir.Value]:
    """Return the columns of 2^n vectors, n > 0, that are no wider than there are of them.

    Interleaving the first half with the second moves the highest bit of every element's index to the lowest place; done
    once for each bit of the row number, that leaves the rows of a column side by side.
    """
    count = rows[0].type.count
    low = [lane for pair in zip(range(count // 2), range(count, count + count // 2), strict=True) for lane in pair]
    high = [lane + count // 2 for lane in low]
    half = len(rows) // 2
    for _ in range(len(rows).bit_length() - 1):
        pairs = zip(rows[:half], rows[half:], strict=True)
        rows = [shuffle(builder, lanes, first, second) for first, second in pairs for lanes in (low, high)]
    whole = len(rows) // count
    return [concatenate(builder, *rows[index : index + whole]) for index in range(0, len(rows), whole)]


def larger(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Return the larger float of each lane; b where one is not a number."""
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def smaller(builder: ir.IRBuilder, a: ir.Value, b: ir.Value) -> ir.Value:
    """Return the smaller float of each lane; b where one is not a number."""
    return builder.select(builder.fcmp_ordered("<", a, b), a, b)


def largest_magnitude(builder: ir.IRBuilder, *vectors: ir.Value) -> ir.Value:
    """Return the largest absolute value in one, two, four … float vectors of one type."""
    name = f"llvm.fabs.v{vectors[0].type.count}f32"
    magnitudes = [intrinsic_call(builder, name, value.type, [value]) for value in vectors]
    return reduce_lanes(builder, concatenate(builder, *magnitudes), lambda a, b: larger(builder, a, b))


def round_to_int(builder: ir.IRBuilder, x: ir.Value) -> ir.Value:
    """Return the nearest int32 of each lane of a float vector below 2^22 in magnitude, ties to even."""
    ints = vector(I32, x.type.count)
    magic = constant(x.type, 1.5 * 2**23)  # adding it leaves the nearest integer in the low bits
    return builder.sub(builder.bitcast(builder.fadd(x, magic), ints), builder.bitcast(magic, ints))


def multiply_add(builder: ir.IRBuilder, a: ir.Value, b: ir.Value, c: ir.Value) -> ir.Value:
    """Return a * b + c, fused where the machine can."""
    type_ = a.type
    name = f"llvm.fmuladd.v{type_.count}f32" if isinstance(type_, ir.VectorType) else "llvm.fmuladd.f32"
    return intrinsic_call(builder, name, type_, [a, b, c])


def intrinsic_call(builder: ir.IRBuilder, name: str, return_type: ir.Type, arguments: Sequence[ir.Value]) -> ir.Value:
    """Call an LLVM intrinsic by its full name."""
    function_type = ir.FunctionType(return_type, [argument.type for argument in arguments])
    return builder.call(builder.module.declare_intrinsic(name, (), function_type), arguments)


def prefetch(builder: ir.IRBuilder, address: ir.Value, offset: int) -> None:
    """Ask for the cache line at an address plus offset; harmless beyond the end of the mapping."""
    pointer = builder.inttoptr(_offset(builder, address, offset), I8.as_pointer())
    function_type = ir.FunctionType(ir.VoidType(), [I8.as_pointer(), I32, I32, I32])
    declared = builder.module.declare_intrinsic("llvm.prefetch", (I8.as_pointer(),), function_type)
    read, low_locality, data_cache = constant(I32, 0), constant(I32, 1), constant(I32, 1)
    builder.call(declared, [pointer, read, low_locality, data_cache])


def assembly(
    builder: ir.IRBuilder, instruction: str, constraints: str, type_: ir.Type, arguments: Sequence[ir.Value]
) -> ir.Value:
    """Emit an instruction that LLVM would not choose, in AT&T syntax, without effects but its result."""
    function_type = ir.FunctionType(type_, [argument.type for argument in arguments])
    return builder.call(ir.InlineAsm(function_type, instruction, constraints), arguments)


class Loop:
    """The inside of `counted_loop`: the index, and values carried from one round to the next."""

    def __init__(self, index: ir.Value, carried: list[ir.Value]) -> None:
        self.index = index
        self.carried = carried


@contextmanager
def counted_loop(builder: ir.IRBuilder, count: ir.Value, initial: Sequence[ir.Value]) -> Iterator[Loop]:
    """Emit a loop over 0 ≤ index < count, count ≥ 1, that carries values.

    The body reads `loop.carried` and leaves the values of the next round there; afterwards it holds the final ones.
    """
    before = builder.block
    body = builder.append_basic_block("loop")
    after = builder.append_basic_block("after")
    builder.branch(body)
    builder.position_at_end(body)
    index = builder.phi(I64)
    index.add_incoming(constant(I64, 0), before)
    phis = [builder.phi(value.type) for value in initial]
    for phi, value in zip(phis, initial, strict=True):
        phi.add_incoming(value, before)
    loop = Loop(index, list(phis))
    yield loop
    following = builder.add(index, constant(I64, 1))
    index.add_incoming(following, builder.block)
    for phi, value in zip(phis, loop.carried, strict=True):
        phi.add_incoming(value, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count), body, after)
    builder.position_at_end(after)


def _offset(builder: ir.IRBuilder, address: ir.Value, offset: int) -> ir.Value:
    return builder.add(address, constant(I64, offset)) if offset else address
