"""Text in and out of a model: tokenizer, detokenizer, stop strings, chat template; all from the model file."""
