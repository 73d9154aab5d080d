"""Tests the stores, the constraints and both engines."""
