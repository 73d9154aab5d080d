"""Tests of the Discord adapter: the real bot and the real discord.py against a local Discord."""
