"""Makes functions for compiled code out of LLVM emitters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

Emitter = Callable[..., ir.Value | None]
"""Emits LLVM instructions: emitter(builder, *arguments)."""


def make_intrinsic(emitter: Emitter, return_type: types.Type = types.void) -> Callable[..., Any]:
    """Return a function for use inside compiled code that expands to what `emitter(builder, *arguments)` emits.

    Integers, addresses among them, reach the emitter as i64 and numbers as float; it returns a value of `return_type`
    or, for void, None.
    """

    def expand(typing_context: Any, *argument_types: Any) -> Any:
        def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
            values = []
            for index, found in enumerate(argument_types):
                wanted = types.float32 if isinstance(found, types.Float) else types.int64
                values.append(context.cast(builder, builder.extract_value(arguments[0], index), found, wanted))
            result = emitter(builder, *values)
            return context.get_dummy_value() if result is None else result

        return return_type(types.Tuple(argument_types)), generate

    function: Callable[..., Any] = intrinsic(expand)
    return function
