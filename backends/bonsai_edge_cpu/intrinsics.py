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
        return _expand(emitter, return_type, argument_types, 0)

    function: Callable[..., Any] = intrinsic(expand)
    return function


def make_generic_intrinsic(emitter_of: Callable[[type], Emitter]) -> Callable[..., Any]:
    """Return a function without result whose first argument, a named tuple, chooses the emitter by its class.

    The emitter gets the other arguments, as in `make_intrinsic`.
    """

    def expand(typing_context: Any, *argument_types: Any) -> Any:
        return _expand(emitter_of(argument_types[0].instance_class), types.void, argument_types, 1)

    function: Callable[..., Any] = intrinsic(expand)
    return function


def _expand(emitter: Emitter, return_type: types.Type, argument_types: tuple[Any, ...], first: int) -> Any:
    """Return what Numba asks of an intrinsic: its signature and its code, which uses the arguments from `first` on."""

    def generate(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
        values = []
        for index, found in list(enumerate(argument_types))[first:]:
            wanted = types.float32 if isinstance(found, types.Float) else types.int64
            values.append(context.cast(builder, builder.extract_value(arguments[0], index), found, wanted))
        result = emitter(builder, *values)
        return context.get_dummy_value() if result is None else result

    return return_type(types.Tuple(argument_types)), generate
