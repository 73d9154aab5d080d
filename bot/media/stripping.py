"""Reads the structure of an untrusted picture within bounds, and copies the parts needed to show the first frame.

No pixel is decoded here. The copy is canonical: EXIF, GPS, XMP, comments, thumbnails and trailing data are left out,
and each kept part has the length and the values of its specification. Further frames go too, except from a model's
animation. All steps are short calls, so a thread that runs them lets the event loop run in between. The copy consists
of pieces that refer to the original: a large file mapped into memory is never held as a whole.
"""

import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from mmap import mmap
from typing import TypeAlias

from bot.core.errors import BadFile
from bot.core.limits import (
    MAX_GIF_BLOCKS,
    MAX_JPEG_SCANS,
    MAX_JPEG_SEGMENTS,
    MAX_PNG_CHUNKS,
    MAX_RECIPE_BYTES,
    MAX_WEBP_CHUNKS,
)
from bot.media.color_profiles import MAX_PROFILE_BYTES, clean_profile

Buffer: TypeAlias = bytes | mmap
"""A file in memory, or mapped into memory."""

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PALETTE = 3
_LAST_FILTER = 4
_PACKED_BYTES, _UNPACKED_BYTES = 64 * 1024, 1024 * 1024
_SMALL_CHUNK_BYTES = 2 * MAX_PROFILE_BYTES
"""No chunk besides the pixels is kept from this size on."""
_ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column and row, and the steps, of each pass of an interlaced PNG."""
_SMALL_CHUNKS = frozenset(
    [b"IHDR", b"PLTE", b"IEND", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"sBIT", b"tRNS", b"eXIf"]
)
_SAMPLES = {0: 1, 2: 3, _PALETTE: 3, 4: 2, 6: 4}
"""Samples of a pixel by the colour type of PNG."""

_STILL_CHUNKS = frozenset([b"VP8 ", b"VP8L", b"ALPH"])
_WEBP_PROFILE, _WEBP_EXIF_AND_XMP, _WEBP_ANIMATION = 0x20, 0x08 | 0x04, 0x02
_WEBP_ALPHA, _WEBP_EXIF = 0x10, 0x08

_JPEG_END, _JPEG_SCAN = 0xD9, 0xDA
_JPEG_JFIF, _JPEG_EXIF, _JPEG_PROFILE, _JPEG_ADOBE = 0xE0, 0xE1, 0xE2, 0xEE
_JPEG_HUFFMAN, _JPEG_QUANTIZATION, _JPEG_RESTART_INTERVAL, _JPEG_CONDITIONING = 0xC4, 0xDB, 0xDD, 0xCC
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE = frozenset([0xC2, 0xC6, 0xCA, 0xCE])
_JFIF = b"\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"
_PROFILE_NAME, _EXIF_NAME = b"ICC_PROFILE\x00", b"Exif\x00\x00"
# In pixels, 00 or a restart marker follows each FF; a further FF is filling.
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_SEARCH_BYTES = 128 * 1024
"""A search of one step: a longer step would hold the interpreter, and so the event loop, for milliseconds."""

_GIF_LOOP = b"\x21\xff\x0bNETSCAPE2.0"
_ORIENTATION_TAG, _SHORT = 0x0112, 3
_MOST_EXIF_ENTRIES = 512


@dataclass(frozen=True, slots=True)
class StillPicture:
    """The first frame of a picture, without metadata."""

    pieces: Sequence[bytes | memoryview]
    orientation: int = 1
    """EXIF's orientation, 1 for upright. Browsers ignore an orientation in XMP, and so does the bot."""
    is_animated: bool = False
    is_progressive: bool = False
    has_hidden_pixels: bool = False
    """Whether the compressed data holds more than the picture: only another encoding leaves the rest out."""
    pixel_parts: tuple[tuple[int, int], ...] = ()
    """Start and end of the compressed pixels in `data`: the scans of a JPEG, the chunks of a WebP."""
    is_complete: bool = True
    """False for a PNG whose compressed data ends before the picture."""
    is_sound: bool = False
    """Whether all pixels of a PNG were read and found in order: decoding them would show no further fault."""

    @property
    def data(self) -> bytes:
        """The file as a whole."""
        return b"".join(self.pieces)


def extract_still(data: Buffer, kind: str, *, keeps_frames: bool = False) -> StillPicture:
    """Return the first frame without metadata; `kind` is PNG, JPEG, WEBP or GIF.

    `keeps_frames` keeps all frames of a GIF or WebP. Raise `BadFile` for a broken structure and for more parts than the
    bounds allow.
    """
    view = memoryview(data)
    try:
        if kind == "PNG":
            return _extract_png(view)
        if kind == "JPEG":
            return _extract_jpeg(view)
        return (_extract_webp if kind == "WEBP" else _extract_gif)(view, keeps_frames=keeps_frames)
    except (struct.error, IndexError, ValueError) as error:
        raise BadFile("That picture is damaged or not complete.") from error


def _make_too_many_parts_error() -> BadFile:
    return BadFile("That picture is made of too many parts. Save it again with a picture program, please.")


def _make_damaged_error() -> BadFile:
    return BadFile("That picture is damaged or not complete.")


# PNG: www.w3.org/TR/png-3.


def _extract_png(data: memoryview) -> StillPicture:
    kept: list[bytes | memoryview] = [_PNG_SIGNATURE]
    orientation, color_type, samples, depth = 1, 0, 0, 0
    pixels: _PngPixels | None = None
    names: list[bytes] = []
    for name, content in iterate_png_chunks(data):
        small = bytes(content[:_SMALL_CHUNK_BYTES]) if name in _SMALL_CHUNKS else b""
        if name == b"IHDR":
            width, height, depth, color_type = struct.unpack_from(">IIBB", small)
            samples = _SAMPLES.get(color_type, 0)
            bits = depth * (1 if color_type == _PALETTE else samples)
            row_bytes = _count_row_bytes(width, bits) if depth >= 8 and color_type != _PALETTE and not small[12] else 0
            pixels = _PngPixels(_count_png_bytes(width, height, bits, small[12]), row_bytes)
        elif name == b"eXIf":
            orientation = read_exif_orientation(small)
        if len(kept) == 1 and name != b"IHDR":
            raise _make_damaged_error()
        if name == b"IDAT" and pixels is not None:
            clean: bytes | memoryview | None = pixels.read(content) or None
        else:
            clean = _clean_png_chunk(name, small, color_type, samples, depth)
        if clean is not None:
            kept += make_png_chunk(name, clean)
            names.append(name)
    return StillPicture(
        kept,
        orientation,
        has_hidden_pixels=pixels is not None and pixels.has_more,
        is_complete=pixels is not None and pixels.is_complete,
        is_sound=pixels is not None and pixels.is_sound and _are_in_order(names),
    )


def _are_in_order(names: Sequence[bytes]) -> bool:
    """Return whether the chunks of a PNG have one header, and the pixels in one row."""
    count = names.count(b"IDAT")
    start = names.index(b"IDAT") if count else 0
    return names.count(b"IHDR") == 1 and set(names[start : start + count]) == {b"IDAT"}


def make_png_chunk(name: bytes, content: bytes | memoryview) -> tuple[bytes | memoryview, ...]:
    """Return the pieces of a chunk: head, content and checksum."""
    checksum = zlib.crc32(content, zlib.crc32(name))
    return struct.pack(">I4s", len(content), name), content, struct.pack(">I", checksum)


class _PngPixels:
    """Reads the compressed data of a PNG to find the end of the data and of the picture."""

    def __init__(self, expected_bytes: int, row_bytes: int) -> None:
        """`row_bytes` is the length of each row with its filter; 0 where rows are not to be checked."""
        self._expected_bytes = self._left_bytes = expected_bytes
        self._row_bytes = row_bytes
        self._has_known_filters = True
        self._unpacker = zlib.decompressobj()
        self._has_ended = False
        self.has_more = False

    @property
    def is_complete(self) -> bool:
        return self._left_bytes <= 0

    @property
    def is_sound(self) -> bool:
        """Whether the data ends with the last row, and each row begins with a known filter."""
        has_rows = self._row_bytes > 0 and self._expected_bytes > 0
        return has_rows and self._has_ended and self._left_bytes == 0 and self._has_known_filters

    def read(self, content: memoryview) -> memoryview:
        """Return the part of an IDAT chunk that belongs to the compressed data."""
        for start in range(0, len(content), _PACKED_BYTES):
            if self._has_ended or self.has_more:
                break
            self._unpack(content[start : start + _PACKED_BYTES])
            if self._unpacker.eof:
                self._has_ended = True
                return content[: min(len(content), start + _PACKED_BYTES) - len(self._unpacker.unused_data)]
        return content[:0] if self._has_ended else content

    def _unpack(self, packed: bytes | memoryview) -> None:
        unpacked = _UNPACKED_BYTES
        while not self._unpacker.eof and not self.has_more and (packed or unpacked == _UNPACKED_BYTES):
            try:
                rows = self._unpacker.decompress(packed, _UNPACKED_BYTES)
            except zlib.error as error:
                raise _make_damaged_error() from error
            packed, unpacked = self._unpacker.unconsumed_tail, len(rows)
            if self._row_bytes:
                filters = rows[(self._left_bytes - self._expected_bytes) % self._row_bytes :: self._row_bytes]
                self._has_known_filters &= not filters or max(filters) <= _LAST_FILTER
            self._left_bytes -= unpacked
            self.has_more = self._left_bytes < 0


def _count_row_bytes(width: int, bits: int) -> int:
    """Return the bytes of a row of some pixels, with the byte of its filter."""
    return 1 + (width * bits + 7) // 8


def _count_png_bytes(width: int, height: int, bits: int, interlacing: int) -> int:
    """Return the bytes of all rows, each with the byte of its filter."""
    passes = _ADAM7 if interlacing else ((0, 0, 1, 1),)
    total = 0
    for left, top, step_x, step_y in passes:
        columns, rows = -(-(width - left) // step_x), -(-(height - top) // step_y)
        total += max(rows, 0) * _count_row_bytes(columns, bits) if columns > 0 else 0
    return total


def iterate_png_chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    """Yield name and content of each chunk up to the end. Raise `BadFile` for a damaged part that pixels need."""
    position = len(_PNG_SIGNATURE)
    for _ in range(MAX_PNG_CHUNKS):
        length, name = struct.unpack_from(">I4s", data, position)
        content = data[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack_from(">I", data, position + 8 + length)
        if name in (b"IHDR", b"PLTE", b"IDAT", b"IEND") and checksum != zlib.crc32(content, zlib.crc32(name)):
            raise _make_damaged_error()
        yield name, content
        if name == b"IEND":
            return
        position += 12 + length
    raise _make_too_many_parts_error()


def _clean_png_chunk(name: bytes, content: bytes, color_type: int, samples: int, depth: int) -> bytes | None:
    """Return the content to keep, None to leave the chunk out. Lengths and ranges leave no room for words."""
    if name == b"IHDR":
        return content[:13]
    if name == b"IEND":
        return b""
    if name == b"PLTE":  # beside true colours a palette only suggests colours
        return content[:768] if color_type == _PALETTE else None
    if name == b"iCCP":
        return _clean_png_profile(content)
    size = {b"sRGB": 1, b"gAMA": 4, b"cHRM": 32, b"cICP": 4, b"sBIT": samples}.get(name, -1)
    if name == b"tRNS":
        size = {0: 2, 2: 6, _PALETTE: min(len(content), 256)}.get(color_type, -1)
    if len(content) != size:
        return None
    return content if _is_sound(name, content, color_type, depth) else None


def _is_sound(name: bytes, content: bytes, color_type: int, depth: int) -> bool:
    """Return whether the values of a chunk of the right length lie in their ranges."""
    if name == b"sRGB":
        return content[0] <= 3
    if name == b"gAMA":
        return 0 < int.from_bytes(content, "big") <= 1_000_000
    if name == b"cHRM":
        return all(value <= 100_000 for value in struct.unpack(">8I", content))
    if name == b"cICP":
        return content[0] <= 22 and content[1] <= 18 and content[2] == 0 and content[3] <= 1
    if name == b"sBIT":
        return all(1 <= value <= max(depth, 8) for value in content)
    return color_type == _PALETTE or all(n < 1 << depth for n in struct.unpack(f">{len(content) // 2}H", content))


def _clean_png_profile(content: bytes) -> bytes | None:
    _name, _, packed = content.partition(b"\x00")
    if not packed or len(content) > MAX_PROFILE_BYTES:
        return None
    try:
        unpacker = zlib.decompressobj()
        profile = clean_profile(unpacker.decompress(packed[1:], MAX_PROFILE_BYTES))
    except zlib.error:
        return None
    return b"ICC\x00\x00" + zlib.compress(profile) if profile else None


# WebP: developers.google.com/speed/webp/docs/riff_container.


def _extract_webp(data: memoryview, *, keeps_frames: bool) -> StillPicture:
    kept: list[bytes | memoryview] = []
    header, orientation, is_animated, has_profile = bytearray(), 1, False, False
    pixel_parts: list[tuple[int, int]] = []
    seen: set[bytes] = set()
    for name, content in _iterate_webp_chunks(data):
        if name in seen:
            continue
        seen |= {name} & (_STILL_CHUNKS | {b"ICCP"})
        if name == b"EXIF":
            orientation = read_exif_orientation(bytes(content[:_SMALL_CHUNK_BYTES]).removeprefix(_EXIF_NAME))
        elif name == b"VP8X" and not (header or kept):
            header += _make_webp_chunk_head(name, 10) + content[:10]
        elif name == b"ICCP":
            if profile := clean_profile(bytes(content[:_SMALL_CHUNK_BYTES])):
                has_profile = True
                kept += _make_webp_chunk(name, profile)
        elif name == b"ANIM" and not is_animated:
            kept += _make_webp_chunk(name, content[:6])
        elif name == b"ANMF":
            # The first frame is kept with its place on the canvas.
            kept += _make_webp_chunk(name, content) if keeps_frames or not is_animated else ()
            is_animated = True
        elif name in _STILL_CHUNKS and not is_animated:
            kept += _make_webp_chunk(name, content)
            end = 12 + len(header) + sum(len(piece) for piece in kept) - (len(content) & 1)
            pixel_parts.append((end - len(content), end))
    if header:
        cleared = _WEBP_EXIF_AND_XMP | (0 if has_profile else _WEBP_PROFILE) | (0 if is_animated else _WEBP_ANIMATION)
        header[8] &= ~cleared & 0xFF
        header[9:12] = bytes(3)
        # A header that announced EXIF alone goes with it: a delivered file that comes back is the kept file again.
        if len(kept) == 3 and bytes(header) == _make_webp_header(bytes(kept[0][:4]), memoryview(kept[1])):
            pixel_parts = [(start - len(header), end - len(header)) for start, end in pixel_parts]
            header = bytearray()
    size_bytes = 4 + len(header) + sum(len(piece) for piece in kept)
    start = b"RIFF" + struct.pack("<I", size_bytes) + b"WEBP" + bytes(header)
    return StillPicture([start, *kept], orientation, is_animated, pixel_parts=tuple(pixel_parts))


def shorten_webp_chunk(data: bytes, part: tuple[int, int], cut_bytes: int) -> bytes:
    """Return a WebP without the last bytes of a part of the pixels. `cut_bytes` is an even number."""
    start, end = part
    size = struct.pack("<I", end - start - cut_bytes)
    shorter = data[8 : start - 4] + size + data[start : end - cut_bytes] + data[end:]
    return b"RIFF" + struct.pack("<I", len(shorter)) + shorter


def _iterate_webp_chunks(data: memoryview) -> Iterator[tuple[bytes, memoryview]]:
    position, end = 12, min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    for _ in range(MAX_WEBP_CHUNKS):
        if position + 8 > end:
            return
        name, length = struct.unpack_from("<4sI", data, position)
        if position + 8 + length + (length & 1) > len(data):
            raise _make_damaged_error()
        yield name, data[position + 8 : position + 8 + length]
        position += 8 + length + (length & 1)
    raise _make_too_many_parts_error()


def _make_webp_chunk(name: bytes, content: bytes | memoryview) -> tuple[bytes | memoryview, ...]:
    return _make_webp_chunk_head(name, len(content)), content, bytes(len(content) & 1)


def _make_webp_chunk_head(name: bytes, size_bytes: int) -> bytes:
    return name + struct.pack("<I", size_bytes)


def add_webp_exif(data: bytes, exif: bytes) -> bytes:
    """Return the WebP with EXIF as its last chunk. A file of a single chunk gets the header that announces EXIF."""
    view = memoryview(data)
    name, content = next(_iterate_webp_chunks(view), (b"", view[:0]))
    end = min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    if name == b"VP8X":
        header, start = bytearray(data[12:30]), 30
    else:
        header, start = bytearray(_make_webp_header(name, content)), 12
    header[8] |= _WEBP_EXIF
    body = b"WEBP" + bytes(header) + data[start:end] + b"".join(_make_webp_chunk(b"EXIF", exif))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _make_webp_header(name: bytes, content: memoryview) -> bytes:
    """Return the chunk VP8X of a file whose frame is a single chunk."""
    if name == b"VP8L":
        (bits,) = struct.unpack_from("<I", content, 1)
        width, height, has_alpha = bits & 0x3FFF, bits >> 14 & 0x3FFF, bits >> 28 & 1
    else:
        width, height = (side & 0x3FFF for side in struct.unpack_from("<HH", content, 6))
        width, height, has_alpha = width - 1, height - 1, 0
    flags = struct.pack("<I", _WEBP_ALPHA if has_alpha else 0)
    return _make_webp_chunk_head(b"VP8X", 10) + flags + struct.pack("<I", width)[:3] + struct.pack("<I", height)[:3]


# JPEG: www.w3.org/Graphics/JPEG/itu-t81.pdf, annex B.


def _extract_jpeg(data: memoryview) -> StillPicture:
    kept: list[bytes | memoryview] = [b"\xff\xd8"]
    orientation, is_progressive, has_jfif = 1, False, False
    tables = _JpegTables()
    pixel_parts: list[tuple[int, int]] = []
    for marker, start, end in _iterate_jpeg_segments(data):
        content = bytes(data[start + 4 : end]) if marker != _JPEG_SCAN else b""
        is_progressive = is_progressive or marker in _PROGRESSIVE
        if marker == _JPEG_EXIF and content.startswith(_EXIF_NAME):
            orientation = read_exif_orientation(content.removeprefix(_EXIF_NAME))
        elif marker == _JPEG_JFIF and content.startswith(b"JFIF\x00"):
            kept += [] if has_jfif else [_JFIF]
            has_jfif = True
        elif marker == _JPEG_ADOBE and content.startswith(b"Adobe") and len(content) >= 12:
            # Only the last byte, the colour transform, is needed to show the picture.
            kept.append(b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00" + content[11:12])
        elif marker == _JPEG_PROFILE and content.startswith(_PROFILE_NAME) and content[13:14] == b"\x01":
            kept.append(_make_jpeg_profile(clean_profile(content[14:])))
        elif marker in (_JPEG_HUFFMAN, _JPEG_QUANTIZATION):
            tables.read(marker, content)
        elif marker == _JPEG_SCAN:
            if len(pixel_parts) == MAX_JPEG_SCANS:
                raise _make_too_many_parts_error()
            head_end = start + 2 + struct.unpack_from(">H", data, start + 2)[0]
            # FF without a following byte is filling, as long as the sender likes.
            pixels = _strip_filling(data[head_end:end])
            kept += [tables.take(bytes(data[start + 4 : head_end])), data[start:head_end], pixels]
            kept_bytes = sum(len(piece) for piece in kept)
            pixel_parts.append((kept_bytes - len(pixels), kept_bytes))
        elif marker in _JPEG_FRAMES:
            tables.read_frame(content)
            kept.append(data[start:end])
        elif marker in (_JPEG_RESTART_INTERVAL, _JPEG_CONDITIONING, _JPEG_END):
            kept.append(data[start:end])
    return StillPicture(kept, orientation, is_progressive=is_progressive, pixel_parts=tuple(pixel_parts))


def _strip_filling(pixels: memoryview) -> memoryview:
    """Return the pixels of a scan without FF at their end."""
    end = len(pixels)
    while end:
        tail = bytes(pixels[max(0, end - _SEARCH_BYTES) : end])
        filling = len(tail) - len(tail.rstrip(b"\xff"))
        end -= filling
        if filling < len(tail):
            break
    return pixels[:end]


class _JpegTables:
    """Keeps the tables that a scan uses: a table that no scan names can hold any words."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], bytes] = {}
        self._quantization: dict[int, int] = {}
        """The table of each component."""

    def read(self, marker: int, content: bytes) -> None:
        """Read the tables of a segment; a later table of the same number replaces a waiting one."""
        while content:
            size = 64 << (content[0] >> 4) if marker == _JPEG_QUANTIZATION else 16 + sum(content[1:17])
            if content[0] >> 4 > 1 or len(content) < 1 + size:
                raise _make_damaged_error()
            # The class of a Huffman table (DC or AC) is a part of its number, the precision of the other kind is not.
            number = content[0] if marker == _JPEG_HUFFMAN else content[0] & 15
            self._waiting[marker, number] = content[: 1 + size]
            content = content[1 + size :]

    def read_frame(self, content: bytes) -> None:
        """Read which table each component uses."""
        for at in range(6, 6 + 3 * content[5], 3):
            self._quantization[content[at]] = content[at + 2]

    def take(self, scan: bytes) -> bytes:
        """Return the segments of the tables that the scan with this header is the first to use."""
        wanted: set[tuple[int, int]] = set()
        for at in range(1, 1 + 2 * scan[0], 2):
            wanted.add((_JPEG_QUANTIZATION, self._quantization.get(scan[at], -1)))
            wanted |= {(_JPEG_HUFFMAN, scan[at + 1] >> 4), (_JPEG_HUFFMAN, 0x10 | scan[at + 1] & 15)}
        segments = bytearray()
        for marker, number in [key for key in self._waiting if key in wanted]:
            table = self._waiting.pop((marker, number))
            segments += bytes([0xFF, marker]) + struct.pack(">H", len(table) + 2) + table
        return bytes(segments)


def _make_jpeg_profile(profile: bytes) -> bytes:
    if not profile:
        return b""
    content = _PROFILE_NAME + b"\x01\x01" + profile
    return b"\xff\xe2" + struct.pack(">H", len(content) + 2) + content


def read_jpeg_size(data: Buffer) -> tuple[int, int]:
    """Return width and height from the frame's segment. Raise `BadFile` or `struct.error` for a damaged picture."""
    view = memoryview(data)
    for marker, start, _ in _iterate_jpeg_segments(view):
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", view, start + 5)
            return width, height
    raise _make_damaged_error()


def _iterate_jpeg_segments(data: memoryview) -> Iterator[tuple[int, int, int]]:
    """Yield (marker, start, end) of each segment after the start marker; a scan's segment includes the pixels."""
    position = 2
    for _ in range(MAX_JPEG_SEGMENTS):
        if position >= len(data):
            return
        start = _find_marker(data, position)
        marker = data[start + 1]
        if marker == _JPEG_END:
            yield marker, start, start + 2
            return
        length = struct.unpack_from(">H", data, start + 2)[0]
        end = start + 2 + max(length, 2)
        if marker == _JPEG_SCAN:
            end = _find_marker(data, end)
        yield marker, start, end
        position = end
    raise _make_too_many_parts_error()


def _find_marker(data: memoryview, position: int) -> int:
    """Return the position of the next marker, or the end of the data."""
    while position < len(data):
        # One byte more than a step: a marker may lie across the border.
        if found := _MARKER.search(data, position, position + _SEARCH_BYTES + 1):
            return found.start()
        position += _SEARCH_BYTES
    return len(data)


# GIF: www.w3.org/Graphics/GIF/spec-gif89a.txt.


def _extract_gif(data: memoryview, *, keeps_frames: bool) -> StillPicture:
    """Return the header and the first frame or all frames, with their delays and transparent colours."""
    position = 13 + _get_gif_palette_bytes(data[10])
    kept: list[bytes | memoryview] = [data[:position]]
    left, frames = MAX_GIF_BLOCKS, 0
    while True:
        start = position
        if data[position] == 0x21:
            label = data[position + 1]
            position, left = _skip_gif_blocks(data, position + 2, left)
            is_delay = label == 0xF9 and position - start == 8
            is_loop = keeps_frames and position - start == 19 and bytes(data[start : start + 14]) == _GIF_LOOP
            kept += [data[start:position]] if is_delay or is_loop else []
        elif data[position] == 0x2C:
            position += 11 + _get_gif_palette_bytes(data[position + 9])
            position, left = _skip_gif_blocks(data, position, left)
            kept.append(data[start:position])
            frames += 1
        elif frames:
            break
        else:
            raise _make_damaged_error()
        if position >= len(data) or (frames and not keeps_frames):
            break
    has_more = position < len(data) and data[position] != 0x3B
    return StillPicture([*kept, b";"], is_animated=frames > 1 or has_more)


def _get_gif_palette_bytes(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _skip_gif_blocks(data: memoryview, position: int, left: int) -> tuple[int, int]:
    """Return the position after a row of blocks, and how many blocks may follow."""
    while size := data[position]:
        position += size + 1
        left -= 1
        if left < 0:
            raise _make_too_many_parts_error()
    return position + 1, left - 1


# EXIF: cipa.jp/std/documents/download_e.html?DC-008-Translation-2023-E, 4.6.

_EXIF_DIRECTORY_TAG, _USER_COMMENT_TAG, _SOFTWARE_TAG = 0x8769, 0x9286, 0x0131
_LONG, _UNDEFINED = 4, 7
_TEXT_TAGS = (0x010E, 0x010F, 0x0110)
"""Description, maker and model, where ComfyUI's nodes for WebP write their texts."""
_READ_TAGS = frozenset({*_TEXT_TAGS, _USER_COMMENT_TAG, _EXIF_DIRECTORY_TAG})
_MAX_EXIF_TEXT_BYTES = 2 * MAX_RECIPE_BYTES
_UNICODE = b"UNICODE\x00"


def read_exif_texts(data: Buffer, kind: str) -> list[str]:
    """Return the description, maker, model and comment in the EXIF of a JPEG or WebP. Raise `BadFile` as a reader."""
    view = memoryview(data)
    blocks: list[bytes] = []
    if kind == "JPEG":
        segments = ((marker, bytes(view[start + 4 : end])) for marker, start, end in _iterate_jpeg_segments(view))
        blocks = [block for marker, block in segments if marker == _JPEG_EXIF and block.startswith(_EXIF_NAME)]
    elif kind == "WEBP":
        blocks = [bytes(content) for name, content in _iterate_webp_chunks(view) if name == b"EXIF"]
    exif = blocks[0].removeprefix(_EXIF_NAME) if blocks else b""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return []
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        entries = _read_exif_directory(exif, order, directory)
        if _EXIF_DIRECTORY_TAG in entries:
            (directory,) = struct.unpack_from(f"{order}I", entries[_EXIF_DIRECTORY_TAG])
            entries = {**_read_exif_directory(exif, order, directory), **entries}
    except struct.error:
        return []
    texts = [entries[tag].rstrip(b"\0").decode("utf-8", "replace") for tag in _TEXT_TAGS if tag in entries]
    comment = entries.get(_USER_COMMENT_TAG, b"")
    if comment.startswith(_UNICODE):
        # A1111 writes the high byte first in files of either order. Settings are ASCII: their high bytes are zeros.
        encoding = "utf-16-le" if comment[9::2].count(0) > comment[8::2].count(0) else "utf-16-be"
        texts.append(comment[8:].decode(encoding, "replace"))
    elif comment:
        texts.append(comment[8:].rstrip(b"\0").decode("utf-8", "replace"))
    return texts


def _read_exif_directory(exif: bytes, order: str, directory: int) -> dict[int, bytes]:
    """Return the values of the texts, bytes and offsets of a directory by tag. Raise `struct.error`."""
    values: dict[int, bytes] = {}
    (count,) = struct.unpack_from(f"{order}H", exif, directory)
    for entry in range(min(count, _MOST_EXIF_ENTRIES)):
        at = directory + 2 + 12 * entry
        tag, kind, length, value = struct.unpack_from(f"{order}HHII", exif, at)
        size = length * (4 if kind == _LONG else 1)
        # A chunk of 20 MB may have hundreds of entries that each name the whole chunk.
        if tag in _READ_TAGS and size <= _MAX_EXIF_TEXT_BYTES:
            values.setdefault(tag, exif[at + 8 : at + 8 + size] if size <= 4 else exif[value : value + size])
    return values


def make_exif(comment: str, software: str) -> bytes:
    """Return EXIF, the high byte first, with the name of a program and a comment."""
    name, words = software.encode("ascii") + b"\0", _UNICODE + comment.encode("utf-16-be", "replace")
    further = 38 + len(name) + len(name) % 2
    first = struct.pack(">HHHIIHHIII", 2, _SOFTWARE_TAG, 2, len(name), 38, _EXIF_DIRECTORY_TAG, _LONG, 1, further, 0)
    second = struct.pack(">HHHIII", 1, _USER_COMMENT_TAG, _UNDEFINED, len(words), further + 18, 0)
    return b"MM\0*\0\0\0\x08" + first + name + bytes(len(name) % 2) + second + words


# Orientation.


def read_exif_orientation(exif: bytes) -> int:
    """Return the orientation of EXIF, 1 if missing or damaged: EXIF is removed anyway."""
    order = {b"II": "<", b"MM": ">"}.get(exif[:2])
    if order is None:
        return 1
    try:
        (directory,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, directory)
        for entry in range(min(count, _MOST_EXIF_ENTRIES)):
            tag, kind, _count, value = struct.unpack_from(f"{order}HHIH", exif, directory + 2 + 12 * entry)
            if (tag, kind) == (_ORIENTATION_TAG, _SHORT):
                return value if 1 <= value <= 8 else 1
    except struct.error:
        return 1
    return 1
