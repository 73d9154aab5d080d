"""A PNG written band by band, so that a large picture is never whole in memory."""

import io
import struct
import zlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {"RGB": 2, "RGBA": 6}
_LEVEL = 3


def encode_png(bands: Iterable["Image"], size: tuple[int, int], notes: Mapping[str, str]) -> bytes:
    """The picture of `size` (width, height) that `bands` (RGB or RGBA, all alike) are from top to bottom."""
    buffer, pixels = io.BytesIO(), zlib.compressobj(_LEVEL)
    above: Image | None = None
    for band in bands:
        if above is None:
            _write_header(buffer, band.mode, size, notes)
        _write_chunk(buffer, b"IDAT", pixels.compress(_scanlines(band, above)))
        above = band.crop((0, band.height - 1, band.width, band.height))
    _write_chunk(buffer, b"IDAT", pixels.flush())
    _write_chunk(buffer, b"IEND", b"")
    return buffer.getvalue()


def _write_header(buffer: io.BytesIO, mode: str, size: tuple[int, int], notes: Mapping[str, str]) -> None:
    buffer.write(_SIGNATURE)
    _write_chunk(buffer, b"IHDR", struct.pack(">IIBBBBB", *size, 8, _COLOUR_TYPES[mode], 0, 0, 0))
    for keyword, text in notes.items():
        _write_chunk(buffer, b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1"))


def _scanlines(band: "Image", above: "Image | None") -> bytes:
    """The filtered rows of `band`. Pillow chooses the filters, which look at the row above: that row goes with it."""
    from PIL import Image

    first_row = 1 if above else 0
    piece = Image.new(band.mode, (band.width, band.height + first_row))
    if above:
        piece.paste(above, (0, 0))
    piece.paste(band, (0, first_row))
    encoded = io.BytesIO()
    piece.save(encoded, "PNG", compress_level=0)
    rows = zlib.decompress(_pixel_data(encoded.getbuffer()))
    return rows[first_row * (1 + band.width * len(band.getbands())) :]


def _pixel_data(png: memoryview) -> bytes:
    """The content of all IDAT chunks."""
    position, found = len(_SIGNATURE), list[memoryview]()
    while position < len(png):
        (size,) = struct.unpack_from(">I", png, position)
        if bytes(png[position + 4 : position + 8]) == b"IDAT":
            found.append(png[position + 8 : position + 8 + size])
        position += size + 12
    return b"".join(found)


def _write_chunk(buffer: io.BytesIO, kind: bytes, content: bytes) -> None:
    if content or kind == b"IEND":
        checksum = zlib.crc32(kind + content)
        buffer.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum))
