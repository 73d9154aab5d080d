"""Tests of bot/dispatch."""
