"""Fuses element-wise arithmetic into one kernel where MLX has a GPU to make it for."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import mlx.core as mx

_Function = TypeVar("_Function", bound=Callable[..., object])


def fused(function: _Function) -> _Function:
    """Compile a function of arrays for any shapes; on a CPU, where MLX would call a C++ compiler, leave it as it is."""
    return cast("_Function", mx.compile(function, shapeless=True)) if mx.metal.is_available() else function
