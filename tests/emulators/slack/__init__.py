"""A local Slack that the real slack-bolt talks to, and that refuses what Slack refuses."""
