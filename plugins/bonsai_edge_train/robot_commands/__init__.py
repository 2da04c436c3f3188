"""Robot commands in English with their answers: a seeded generator, hand-written sentences and the held-out splits.

The rules are in docs/robot-commands.md. Needs neither PyTorch nor a tokenizer.
"""
