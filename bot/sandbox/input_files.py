"""Files of the sandbox: the store of outputs and uploads, and file inputs, read from data URLs and from this server.

The store is on disk, bounded in size and lifetime. The sandbox fetches from no other server, and knows its own address
before it listens. Pictures are opened within limits: four formats, and pixels are counted before decoding.
"""

import base64
import binascii
import io
import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from bot.sandbox.clock import SandboxClock
from bot.sandbox.faults import SandboxModelFailed
from bot.sandbox.ids import new_opaque_token

if TYPE_CHECKING:
    from PIL.Image import Image


# The server's own address.

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


# The store.


@dataclass(frozen=True)
class StoredFile:
    path: Path
    name: str
    content_type: str
    size_bytes: int
    created_at: datetime
    expires_at: datetime


class FileStore:
    """Keeps up to `max_bytes`; the least recently read file goes first. `close` erases all files."""

    def __init__(self, clock: SandboxClock, *, lifetime_seconds: float, max_bytes: int) -> None:
        self._clock = clock
        self._lifetime = timedelta(seconds=lifetime_seconds)
        self._max_bytes = max_bytes
        self._folder = tempfile.TemporaryDirectory(prefix="sandbox-")
        self._items: OrderedDict[str, StoredFile] = OrderedDict()
        self._bytes = 0

    def new_path(self) -> Path:
        """Return a path inside the store for a file that `put_path` will adopt."""
        return Path(self._folder.name) / new_opaque_token()

    def put(self, content: bytes, name: str, content_type: str) -> str:
        """Store `content`; return an unguessable key."""
        path = self.new_path()
        path.write_bytes(content)
        return self.put_path(path, name, content_type)

    def put_path(self, path: Path, name: str, content_type: str) -> str:
        now = self._clock.now()
        size = path.stat().st_size
        self._items[path.name] = StoredFile(path, name, content_type, size, now, now + self._lifetime)
        self._bytes += size
        self._make_room()
        return path.name

    def get(self, key: str) -> StoredFile | None:
        item = self._items.get(key)
        if item is None:
            return None
        if self._clock.now() >= item.expires_at:
            self.remove(key)
            return None
        self._items.move_to_end(key)
        return item

    def remove(self, key: str) -> bool:
        item = self._items.pop(key, None)
        if item is None:
            return False
        self._bytes -= item.size_bytes
        item.path.unlink(missing_ok=True)
        return True

    def list_newest_first(self) -> list[tuple[str, StoredFile]]:
        kept = [(key, item) for key in list(self._items) if (item := self.get(key))]
        return sorted(kept, key=lambda pair: pair[1].created_at, reverse=True)

    def close(self) -> None:
        self._items.clear()
        self._folder.cleanup()

    def _make_room(self) -> None:
        now = self._clock.now()
        for key in [key for key, item in self._items.items() if now >= item.expires_at]:
            self.remove(key)
        # The newest file stays even beyond the bound: a reader is about to ask for this file.
        while self._bytes > self._max_bytes and len(self._items) > 1:
            self.remove(next(iter(self._items)))


# Files among inputs.

MAX_PIXELS = 25_000_000
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


class UnreadablePicture(Exception):
    """A file that is no acceptable picture; the text is the model's error."""


def open_picture(content: bytes, max_pixels: int = MAX_PIXELS) -> "Image":
    """Return the loaded picture with `format` and `info`, 16-bit grey in 8 bits. Raise UnreadablePicture."""
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(content), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadablePicture("The image has more pixels than fit in memory") from error
    except (OSError, ValueError) as error:
        raise UnreadablePicture("cannot identify image file: not a PNG, JPEG, WebP or GIF picture") from error
    if picture.width * picture.height > max_pixels:
        raise UnreadablePicture(
            f"The image has {picture.width}x{picture.height} pixels, which is more than fit in memory"
        )
    try:
        picture.load()
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise UnreadablePicture("image file is truncated or broken") from error
    if not picture.mode.startswith("I;16"):
        return picture
    # Pillow's own conversion makes every grey above 255 white: take the high byte of each value.
    grey = Image.frombytes("LA", picture.size, picture.tobytes("raw", "I;16")).getchannel("A")
    grey.format, grey.info = picture.format, picture.info
    return grey


class InputFiles:
    def __init__(self, address: ServerAddress, uploads: FileStore, outputs: FileStore) -> None:
        self._address = address
        self._stores = {"files": uploads, "pbxt": outputs}

    def read(self, url: str) -> bytes:
        """Return the bytes behind `url`; raise the failure of a model with a dead link."""
        scheme, _, rest = url.partition(":")
        if scheme == "data":
            return _decode_data_url(rest)
        return self._read_own(url)

    def _read_own(self, url: str) -> bytes:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not self._address.is_own(parts.hostname, parts.port):
            origin = parts.hostname or repr(url[:40])
            raise SandboxModelFailed(
                f"Input validation error: the sandbox reads files from itself only, not from {origin}"
            )
        folder, _, key = parts.path.removeprefix("/v1").strip("/").partition("/")
        store = self._stores.get(folder)
        item = store.get(key.split("/")[0]) if store else None
        if item is None:
            raise SandboxModelFailed(f"Input validation error: 404 Client Error: Not Found for url: {url[:200]}")
        return item.path.read_bytes()


def _decode_data_url(rest: str) -> bytes:
    header, comma, payload = rest.partition(",")
    if not comma:
        raise SandboxModelFailed("Input validation error: not a data URL")
    if not header.endswith(";base64"):
        return unquote_to_bytes(payload)
    try:
        return base64.b64decode(payload, validate=True)
    except binascii.Error as error:
        raise SandboxModelFailed(f"Input validation error: {error}") from error
