"""Sounds by rules: a speaker, a band, and a measurer of recordings. Samples are 16-bit, mono, 16 kHz."""
