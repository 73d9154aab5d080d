"""What is refused before money is held: words, blocks, pauses, unknown workspaces."""
