"""Tests of bot/conversations."""
