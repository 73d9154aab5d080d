"""Backends, over real sockets."""
