"""Conversations on disk: their tokens, and the pages of the KV cache computed for them. Knows no socket, no click."""
