"""Replicate's HTTP API, and whatever speaks it: the sandbox, a proxy."""
