"""Lets Python call what otherwise only compiled code calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Part = TypeVar("Part", bound=Callable[..., object])


def callable_from_python(part: Part) -> Part:
    """Return the function of a `compiled_part` or `inlined_part`, compiled with an entry from Python."""
    dispatcher: Any = part
    return cast(Part, njit(error_model="numpy")(dispatcher.py_func))
