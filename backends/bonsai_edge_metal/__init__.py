"""The `metal` backend: stock MLX on a Mac's GPU, and on the CPU for its tests."""
