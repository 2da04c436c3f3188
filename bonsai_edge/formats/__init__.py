"""Model files: untrusted bytes in, a checked `ModelSpec` and zero-copy tensors out."""
