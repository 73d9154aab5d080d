"""Tests of the whole bot on the real slack-bolt, against a local Slack."""
