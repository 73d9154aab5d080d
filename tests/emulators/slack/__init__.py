"""A strict Slack on this machine: the real slack-bolt connects, and calls that Slack refuses are refused."""
