"""Tests of bot/credits."""
