"""Tests of the Discord adapter: the real bot and the real discord.py, before a local Discord."""
