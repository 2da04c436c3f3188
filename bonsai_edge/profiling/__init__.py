"""Measures how fast a model runs, and how fast the machine would let it."""
