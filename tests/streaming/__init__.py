"""Tests of showing a growing text in messages."""
