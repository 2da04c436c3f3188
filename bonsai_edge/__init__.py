"""1-bit language models for robots and small computers: offline, in little memory, over ZeroMQ.

The names below are the public interface. Heavy ones are imported when first used, so that a client process pays for
no NumPy and a plugin may import `hookimpl` for nothing.
"""

from typing import TYPE_CHECKING

from bonsai_edge.errors import BonsaiError
from bonsai_edge.generation import GenerationOptions, GenerationResult, Message, TextChunk
from bonsai_edge.hookspecs import hookimpl
from bonsai_edge.version import __version__

if TYPE_CHECKING:
    from bonsai_edge.model import Model
    from bonsai_edge.rpc.async_client import AsyncClient
    from bonsai_edge.rpc.client import Client
    from bonsai_edge.runtime import load
else:
    _LAZY = {
        "AsyncClient": "bonsai_edge.rpc.async_client",
        "Client": "bonsai_edge.rpc.client",
        "Model": "bonsai_edge.model",
        "load": "bonsai_edge.runtime",
    }

    def __getattr__(name):
        import importlib

        if name not in _LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(_LAZY[name]), name)


__all__ = [
    "AsyncClient",
    "BonsaiError",
    "Client",
    "GenerationOptions",
    "GenerationResult",
    "Message",
    "Model",
    "TextChunk",
    "__version__",
    "hookimpl",
    "load",
]
