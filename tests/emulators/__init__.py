"""Local stand-ins for the platforms, which real SDKs talk to over real sockets and which keep the platforms' rules."""
