"""Local stand-ins for Discord and Slack: real SDKs connect over real sockets, and the platforms' rules are enforced."""
