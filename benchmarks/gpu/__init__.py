"""Measures the CUDA backend against llama.cpp's on one GPU: speed, share of the memory bandwidth, energy."""
