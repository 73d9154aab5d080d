"""Slack, as people meet it: the real slack-bolt and the whole bot over a local Slack."""
