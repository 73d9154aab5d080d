"""Tests of keeping one message in step with a growing text."""
