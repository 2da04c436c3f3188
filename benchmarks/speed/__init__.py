"""Measures this project's speed against llama.cpp's, judges it by goals, and writes it up as a page and plots."""
