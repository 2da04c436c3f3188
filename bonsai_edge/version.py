"""The version of the distribution, read by the build and by the wire protocol's handshake."""

__version__ = "0.1.0"
