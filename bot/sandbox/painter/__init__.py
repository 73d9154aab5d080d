"""The painter: a deterministic scene from the words of a prompt and a seed, drawn with Pillow."""
