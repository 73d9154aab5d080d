"""What the bot says about itself: logs without secrets, and metrics."""
