"""Refuse requests before money is held: words, blocks, pauses, unknown workspaces."""
