"""Who may talk to a server from another machine, and what they may ask: CURVE keys, an allow-list, roles.

docs/security.md says what this protects against. Nothing is imported here: a client must not load the server's side.
"""
