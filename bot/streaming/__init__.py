"""Shows a growing text in messages."""
