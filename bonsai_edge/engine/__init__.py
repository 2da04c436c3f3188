"""Turns token ids into token ids: KV pages, sequences, sampling. Knows no text, no socket and no backend by name."""
