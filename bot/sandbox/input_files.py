"""File inputs: read from data URLs, uploads and outputs of this server; pictures are opened within limits.

The sandbox fetches from no other server. Pictures have one of four formats, and pixels are counted before decoding."""

import base64
import binascii
import io
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes, urlsplit

from bot.sandbox.address import ServerAddress
from bot.sandbox.faults import SandboxModelFailed
from bot.sandbox.file_store import FileStore

if TYPE_CHECKING:
    from PIL.Image import Image


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
