"""Generation over ZeroMQ: messages, server and clients; docs/protocol.md describes what goes over the wire.

Nothing is imported here: a client must not load the server.
"""
