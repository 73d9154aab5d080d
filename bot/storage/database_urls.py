"""Reads a DATABASE_URL: refuses an unusable address in a sentence, without a word of the address itself.

Imports no SQLAlchemy: the settings check the address before the database is needed.
"""

from urllib.parse import parse_qsl, urlsplit

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
"""Values of libpq's `sslmode`, which asyncpg takes as `ssl` (postgresql.org/docs/current/libpq-ssl.html)."""

# Parts of the addresses that hosting services give and asyncpg does not know; nothing is lost without them.
_LEFT_OUT = ("channel_binding", "application_name", "connect_timeout")
_KNOWN = ("ssl", "sslmode", "host", "target_session_attrs", "passfile", *_LEFT_OUT)


def check_database_url(url: str) -> None:
    """Raise `ValueError` with the end of a sentence ("should …") for an address that no database can have."""
    try:
        parts = urlsplit(url)
        scheme = parts.scheme.partition("+")[0]
    except ValueError:
        scheme = ""
    if scheme not in ("sqlite", "postgresql"):
        raise ValueError("should start with sqlite:/// or postgresql://")
    if not url.isprintable():
        raise ValueError("should hold no line breaks and no control characters")
    if scheme == "postgresql":
        # An @ beyond the host ends a password with an unescaped sign.
        is_cut = "@" in url.removeprefix(f"{parts.scheme}://{parts.netloc}")
        address = "host:port" if is_cut else parts.netloc.rpartition("@")[2]
        _check_postgresql(address, dict(parse_qsl(parts.query, keep_blank_values=True)))


def convert_query(query: dict[str, str]) -> dict[str, str]:
    """Return the query of an address in asyncpg's words: `sslmode` becomes `ssl`."""
    converted = {name: value for name, value in query.items() if name not in (*_LEFT_OUT, "sslmode")}
    return ({"ssl": query["sslmode"]} if "sslmode" in query else {}) | converted


def _check_postgresql(address: str, query: dict[str, str]) -> None:
    port = address.rpartition("]")[2].partition(":")[2]
    if port and not (port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) <= 65535):
        raise ValueError(
            "should have a port between 1 and 65535 after the host; "
            "in a password, write / as %2F, @ as %40, : as %3A, ? as %3F and # as %23"
        )
    for name in query:
        if name not in _KNOWN:
            raise ValueError(f"should have none but {', '.join(_KNOWN)} after the question mark")
    for name in ("ssl", "sslmode"):
        if name in query and query[name] not in SSL_MODES:
            raise ValueError(f"should give {name} as one of {', '.join(SSL_MODES)}")
