"""Slack as a platform, through slack-bolt and slack-sdk."""
