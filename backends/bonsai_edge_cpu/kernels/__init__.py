"""The compiled parts of a step, one operation a file; each works on the share of one thread."""
