"""The bot and the sandbox as processes, killed at random moments."""
