"""A terminal as a platform: one command, shown as text and files."""
