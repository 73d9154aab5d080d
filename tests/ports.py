"""Finds free ports of this machine."""

import socket


def find_free_port() -> int:
    """Return a loopback port that was free a moment ago. Use port 0 where the server reports its own port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
