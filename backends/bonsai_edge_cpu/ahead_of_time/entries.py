"""The functions of an object file: the compiled step for each KV type, and the product of one matrix.

Each takes its arguments as a flat table of 64-bit numbers; see `bonsai_edge.cpu_step.arguments`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, typeof
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import cpu_target

from bonsai_edge.cpu_step.arguments import Argument, signature
from bonsai_edge.cpu_step.kv_pages import KVPages
from bonsai_edge.cpu_step.tables import StepInput, make_dimensions, make_weights
from bonsai_edge.cpu_step.workspace import make_activations, make_sums, make_tables, make_workspace
from bonsai_edge.formats.checkpoint import Checkpoint
from bonsai_edge.kv_cache import KVType
from bonsai_edge.rope import Rope
from bonsai_edge_cpu.ahead_of_time.cross_target import CrossLibrary
from bonsai_edge_cpu.compilation import OPTIONS_OF_PART
from bonsai_edge_cpu.emit import I64
from bonsai_edge_cpu.isa.selection import selected_isa
from bonsai_edge_cpu.kernels.quantization import TABLE_TOKENS
from bonsai_edge_cpu.one_matrix import multiply
from bonsai_edge_cpu.step import run_step

_NUM_ROWS = 2  # of arrays that are only looked at for their types


class Entries:
    """Collects functions of an object file and says how they are to be called.

    `step_signature` and `multiply_signature` are those of their arguments, `table_tokens` and `spare_tiles` what
    `make_workspace` asks.
    """

    table_tokens = TABLE_TOKENS
    spare_tiles = selected_isa().spare_tiles

    def __init__(self, checkpoint: Checkpoint) -> None:
        """Compile all; of the model only the shapes of arrays count, and not how long they are."""
        self._context = cpu_target.target_context
        self._module = self._context.create_module("entries")
        self._library: CrossLibrary = self._context.codegen().create_library("entries")
        prefix = f"bonsai_edge_{selected_isa().name}"
        for kv_type in KVType:
            arguments = _step_arguments(checkpoint, kv_type)
            self._add(f"{prefix}_step_{kv_type.value}", run_step, arguments, num_direct=2)
            self.step_signature = signature(arguments)
        self._add(f"{prefix}_multiply", multiply, _multiply_arguments(), num_direct=0)
        self.multiply_signature = signature(_multiply_arguments())
        with global_compiler_lock:
            self._library.add_ir_module(self._module)

    def object_file(self) -> bytes:
        """Return the object file."""
        return self._library.object_with({function.name for function in self._module.functions if function.blocks})

    def _add(self, name: str, kernel: Callable[..., None], arguments: tuple[Argument, ...], num_direct: int) -> None:
        """Add `void name(const int64_t *table, int64_t ...)`, whose last `num_direct` arguments do not come flat."""
        again: Any = njit(**OPTIONS_OF_PART)(getattr(kernel, "py_func"))  # noqa: B009  (Numba's, and untyped)
        again.compile(tuple(map(typeof, arguments)))
        (compiled,) = again.overloads.values()
        with global_compiler_lock:
            self._library.add_linking_library(compiled.library)
        description = compiled.fndesc
        called_type = self._context.call_conv.get_function_type(description.restype, description.argtypes)
        called = ir.Function(self._module, called_type, description.llvm_func_name)
        direct_types = [I64] * num_direct
        entry_type = ir.FunctionType(ir.VoidType(), [I64.as_pointer(), *direct_types])
        entry = ir.Function(self._module, entry_type, name)
        builder = ir.IRBuilder(entry.append_basic_block())
        table, *direct = entry.args
        result_type, exception_type, *flat_types = called_type.args
        loaded_types = flat_types[: len(flat_types) - num_direct]
        values = [_load_flat(builder, table, index, type_) for index, type_ in enumerate(loaded_types)]
        unused = [builder.alloca(type_.pointee) for type_ in (result_type, exception_type)]
        builder.call(called, [*unused, *values, *direct])
        builder.ret_void()


def _load_flat(builder: ir.IRBuilder, table: ir.Value, index: int, type_: ir.Type) -> ir.Value:
    address = builder.gep(table, [ir.Constant(I64, index)])
    return builder.load(builder.bitcast(address, type_.as_pointer()))


def _step_arguments(checkpoint: Checkpoint, kv_type: KVType) -> tuple[Argument, ...]:
    spec, ints = checkpoint.spec, np.zeros(_NUM_ROWS, np.int32)
    page_tables = np.zeros((_NUM_ROWS, _NUM_ROWS), np.int32)
    cos, sin = Rope(spec).cos_sin(ints)
    inputs = StepInput(ints, ints, ints, page_tables, ints, cos, sin)
    planes, work = KVPages(spec, 1, kv_type).planes, make_workspace(spec, _NUM_ROWS, 2, TABLE_TOKENS)
    return make_dimensions(spec), make_weights(checkpoint), planes, inputs, work, 2, 0


def _multiply_arguments() -> tuple[Argument, ...]:
    packed, x, out = np.zeros((2, 18), np.uint8), np.zeros((2, 128), np.float32), np.zeros((2, 4), np.float32)[:, :2]
    tables, sums = make_tables(2, TABLE_TOKENS)[0], make_sums(2, TABLE_TOKENS)[0]
    return packed, x, make_activations(2, 2, TABLE_TOKENS), tables, sums, out, 1
