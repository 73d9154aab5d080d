"""The web page: the platform that is its own Discord."""
