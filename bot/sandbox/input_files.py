"""File inputs: a data URL, an uploaded file or an output of this server. The sandbox fetches from nowhere else."""

import base64
import binascii
from urllib.parse import unquote_to_bytes, urlsplit

from bot.sandbox.failures import SandboxModelFailed
from bot.sandbox.shelf import FileStore

_OURSELVES = {"127.0.0.1", "localhost", "::1"}


class InputFiles:
    def __init__(self, port: int, uploads: FileStore, outputs: FileStore) -> None:
        self._port = port
        self._shelves = {"files": uploads, "pbxt": outputs}

    def read(self, url: str) -> bytes:
        """The bytes behind `url`; ModelFailed when it cannot be read, as a real model fails on a dead link."""
        scheme, _, rest = url.partition(":")
        if scheme == "data":
            return _decode(rest)
        return self._read_own(url)

    def _read_own(self, url: str) -> bytes:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or parts.hostname not in _OURSELVES or parts.port != self._port:
            origin = parts.hostname or repr(url[:40])
            raise SandboxModelFailed(
                f"Input validation error: the sandbox reads files from itself only, not from {origin}"
            )
        folder, _, key = parts.path.removeprefix("/v1").strip("/").partition("/")
        shelf = self._shelves.get(folder)
        item = shelf.get(key.split("/")[0]) if shelf else None
        if item is None:
            raise SandboxModelFailed(f"Input validation error: 404 Client Error: Not Found for url: {url[:200]}")
        return item.path.read_bytes()


def _decode(rest: str) -> bytes:
    header, comma, payload = rest.partition(",")
    if not comma:
        raise SandboxModelFailed("Input validation error: not a data URL")
    if not header.endswith(";base64"):
        return unquote_to_bytes(payload)
    try:
        return base64.b64decode(payload, validate=True)
    except binascii.Error as error:
        raise SandboxModelFailed(f"Input validation error: {error}") from error
