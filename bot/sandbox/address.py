"""The sandbox's own address, known to all parts before the server listens."""

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


class ServerAddress:
    """`port` is the requested port; 0 takes a free port, and `listen_on` records the port in use."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port

    @property
    def url(self) -> str:
        """Return the base URL, without /v1. Raise RuntimeError before the server listens on a free port."""
        if not self._port:
            raise RuntimeError("the sandbox has no URL before the server listens")
        return f"http://{self._host}:{self._port}"

    def listen_on(self, port: int) -> None:
        self._port = port

    def is_own(self, hostname: str | None, port: int | None) -> bool:
        """Check a URL's host and port; every name of this machine counts as the server's host."""
        return hostname in _LOOPBACK_HOSTS and port == self._port
