"""Conversations with chat models: turns, and the prompts built from turns."""
