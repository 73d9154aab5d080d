"""The terminal as a platform: a command, with text on the terminal and pictures in files."""
