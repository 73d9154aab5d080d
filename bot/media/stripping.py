"""Strips metadata from pictures without re-encoding the pixels.

Only chunks needed to show the picture are copied, without EXIF, GPS, XMP, comments, thumbnails, further frames and
trailing data. Pillow has decoded the picture before, so the chunks end.
"""

import struct
from collections.abc import Iterator

from bot.core.errors import BadFile

# Colour profiles have some kilobytes: a larger profile may carry other data.
MAX_PROFILE_BYTES = 64 * 1024

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNKS = frozenset([b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND", b"sRGB", b"gAMA", b"cHRM", b"sBIT", b"cICP"])
_WEBP_CHUNKS = frozenset([b"VP8 ", b"VP8L", b"VP8X", b"ALPH"])
_WEBP_FLAGS_AT = 12
_WEBP_PROFILE, _WEBP_EXIF_XMP_AND_MOTION = 0x20, 0x08 | 0x04 | 0x02
_JPEG_START, _JPEG_END, _JPEG_SCAN = 0xD8, 0xD9, 0xDA
_JPEG_JFIF, _JPEG_PROFILE, _JPEG_ADOBE, _JPEG_COMMENT = 0xE0, 0xE2, 0xEE, 0xFE


def strip_metadata(data: bytes, kind: str) -> bytes:
    """Return the picture without metadata; `kind` is PNG, JPEG or WEBP. Raise `BadFile` for a broken structure."""
    try:
        return {"PNG": _strip_png, "JPEG": _strip_jpeg, "WEBP": _strip_webp}[kind](data)
    except (struct.error, IndexError, ValueError) as error:
        raise BadFile("That picture is damaged or not complete.") from error


def _strip_png(data: bytes) -> bytes:
    kept = bytearray(_PNG_SIGNATURE)
    position = len(_PNG_SIGNATURE)
    while True:
        length, name = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if name in _PNG_CHUNKS or (name == b"iCCP" and length <= MAX_PROFILE_BYTES):
            kept += data[position:end]
        if name == b"IEND":
            return bytes(kept)
        position = end


def _strip_webp(data: bytes) -> bytes:
    kept = bytearray(b"WEBP")
    position = 12
    end = min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    while position + 8 <= end:
        name, length = struct.unpack_from("<4sI", data, position)
        padded = length + (length & 1)
        if name in _WEBP_CHUNKS or (name == b"ICCP" and length <= MAX_PROFILE_BYTES):
            kept += data[position : position + 8 + padded]
        position += 8 + padded
    if kept[4:8] == b"VP8X":
        cleared = _WEBP_EXIF_XMP_AND_MOTION | (0 if b"ICCP" in _list_webp_chunks(kept) else _WEBP_PROFILE)
        kept[_WEBP_FLAGS_AT] &= ~cleared & 0xFF
    return b"RIFF" + struct.pack("<I", len(kept)) + bytes(kept)


def _list_webp_chunks(chunks: bytes | bytearray) -> set[bytes]:
    names, position = set(), 4
    while position + 8 <= len(chunks):
        name, length = struct.unpack_from("<4sI", chunks, position)
        names.add(name)
        position += 8 + length + (length & 1)
    return names


def _strip_jpeg(data: bytes) -> bytes:
    kept = bytearray(b"\xff\xd8")
    for marker, start, end in _iterate_jpeg_segments(data):
        if _is_jpeg_segment_kept(marker, data[start + 4 : end]):
            kept += data[start:end]
    return bytes(kept)


def _is_jpeg_segment_kept(marker: int, content: bytes) -> bool:
    if marker == _JPEG_JFIF:
        return content.startswith(b"JFIF\x00")
    if marker == _JPEG_PROFILE:
        return (
            content.startswith(b"ICC_PROFILE\x00") and content[13:14] == b"\x01"
        )  # a single segment, so at most 64 kB
    return marker == _JPEG_ADOBE or not (0xE0 <= marker <= 0xEF or marker == _JPEG_COMMENT)


def _iterate_jpeg_segments(data: bytes) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of each segment after the start marker; a scan's segment includes the pixels."""
    position = 2
    while position < len(data):
        start = data.index(b"\xff", position)
        while data[start + 1] == 0xFF:
            start += 1
        marker = data[start + 1]
        if marker == _JPEG_END:
            yield marker, start, start + 2
            return
        end = start + 2 + struct.unpack_from(">H", data, start + 2)[0]
        if marker == _JPEG_SCAN:
            end = _find_scan_end(data, end)
        yield marker, start, end
        position = end


def _find_scan_end(data: bytes, position: int) -> int:
    """Return the position of the next marker, or the end. In pixels, 00 or a restart marker follows each FF."""
    while 0 <= (position := data.find(b"\xff", position)) < len(data) - 1:
        following = data[position + 1]
        if following != 0x00 and not 0xD0 <= following <= 0xD7 and following != 0xFF:
            return position
        position += 1 if following == 0xFF else 2
    return len(data)
