"""Keeps pictures of more pixels than are decoded at once, and decodes them at a fraction of their size.

The file is mapped into memory and never read as a whole. A PNG is decoded in strips of rows, a JPEG by its decoder's
own reduction. A large WebP, AVIF or GIF is kept, but gets no smaller copy: their decoders take the whole picture.
"""

import io
import struct
import zlib
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import ceil, isqrt
from typing import TYPE_CHECKING

from PIL import Image

from bot.core.errors import BadFile, FileTooLarge
from bot.core.file_types import FileFacts
from bot.core.limits import MAX_DECODING_BYTES, MAX_OUTPUT_PIXELS
from bot.media.decoding import (
    CleanPicture,
    detect_kind,
    measure,
    shrink_decoded,
    turn_upright,
    wrap_decoder_errors,
)
from bot.media.stripping import Buffer, extract_still, iterate_png_chunks, make_png_chunk, read_exif_orientation

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_REDUCED_PIXELS = 12_500_000
"""The largest picture that a reduction gives: with its copies and the encoder 175 MB."""
_REDUCED_BYTES = _REDUCED_PIXELS * 14
_STRIP_BYTES = 4 * 1024 * 1024
_PROGRESSIVE_BYTES_PER_PIXEL = 6
"""A progressive JPEG is decoded from a table of all its coefficients."""
_LARGEST_REDUCTION = 8

# Filters of PNG work on bytes of whole pixels: any row can be unfiltered as a row of 8-bit pixels with as many bytes.
_COLOR_TYPES_BY_PIXEL_BYTES = {1: (0, "L"), 2: (4, "LA"), 3: (2, "RGB"), 4: (6, "RGBA")}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_UPRIGHT_EXIF = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01\x00%c\x00\x00\x00\x00\x00\x00"


@dataclass(frozen=True, slots=True)
class LargePicture:
    """A picture without metadata but its orientation, in pieces that refer to the mapped file."""

    pieces: Sequence[bytes | memoryview]
    facts: FileFacts


def estimate_reduced_memory_bytes(data: Buffer) -> int:
    """Return the most memory that `clean_large` or `shrink_large` takes."""
    facts = measure(data, max_pixels=MAX_OUTPUT_PIXELS)
    return _REDUCED_BYTES + (_measure_coefficients(data, facts) if detect_kind(data) == "JPEG" else 4 * _STRIP_BYTES)


def clean_large(data: Buffer) -> LargePicture:
    """Return a picture of up to 150 megapixels as it is, without metadata. Raise `BadFile` for a damaged picture."""
    facts, kind = measure(data, max_pixels=MAX_OUTPUT_PIXELS), detect_kind(data)
    if kind == "AVIF":
        return LargePicture([memoryview(data)], facts)
    still = extract_still(data, kind, keeps_frames=True)
    pieces, orientation = list(still.pieces), still.orientation
    if kind == "PNG" and (still.has_hidden_pixels or not still.is_complete):
        raise BadFile("That picture is damaged or not complete.")
    if kind == "JPEG" and _measure_coefficients(data, facts) <= MAX_DECODING_BYTES:
        _decode_jpeg(data, _LARGEST_REDUCTION)
    if orientation != 1 and kind in ("JPEG", "PNG"):
        # Turning needs all pixels: the picture keeps its orientation, and nothing else of EXIF.
        pieces.insert(1 if kind == "JPEG" else 4, _make_orientation(kind, orientation))
        facts = _turn_facts(facts, orientation)
    return LargePicture(pieces, facts)


def shrink_large(data: Buffer, *, max_bytes: int | None = None, max_pixels: int = _REDUCED_PIXELS) -> CleanPicture:
    """Return a smaller copy of at most `max_bytes` and `max_pixels`. Raise `FileTooLarge` where none can be made."""
    facts, kind = measure(data, max_pixels=MAX_OUTPUT_PIXELS), detect_kind(data)
    reduction = find_reduction(facts, min(max_pixels, _REDUCED_PIXELS))
    if kind == "JPEG" and _measure_coefficients(data, facts) <= MAX_DECODING_BYTES:
        reduced = _decode_jpeg(data, reduction)
    elif kind == "PNG":
        reduced = _decode_png(memoryview(data), facts, reduction)
    else:
        raise FileTooLarge("That picture is too large to be made smaller here.")
    if max_bytes is not None:  # a PNG of millions of pixels takes seconds, and would not fit
        kind = "WEBP" if reduced.mode == "RGBA" else "JPEG"
    return shrink_decoded(reduced, kind, max_bytes=max_bytes, max_pixels=max_pixels)


def find_reduction(facts: FileFacts, max_pixels: int) -> int:
    """Return the smallest whole divisor of the sides that leaves at most `max_pixels`."""
    reduction = max(1, isqrt(facts.width * facts.height // max_pixels))
    while ceil(facts.width / reduction) * ceil(facts.height / reduction) > max_pixels:
        reduction += 1
    return reduction


def _turn_facts(facts: FileFacts, orientation: int) -> FileFacts:
    return FileFacts(facts.mime, facts.height, facts.width) if orientation > 4 else facts


def _make_orientation(kind: str, orientation: int) -> bytes:
    exif = _UPRIGHT_EXIF % orientation
    if kind == "PNG":
        return b"".join(make_png_chunk(b"eXIf", exif))
    content = b"Exif\x00\x00" + exif
    return b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content


# JPEG.


def _measure_coefficients(data: Buffer, facts: FileFacts) -> int:
    """Return the memory for the coefficients of a progressive JPEG, a little for any other."""
    is_progressive = extract_still(data, "JPEG").is_progressive
    return facts.width * facts.height * _PROGRESSIVE_BYTES_PER_PIXEL if is_progressive else _STRIP_BYTES


def _decode_jpeg(data: Buffer, reduction: int) -> Image.Image:
    """Return a JPEG, upright, with sides divided by 1, 2, 4 or 8: the largest of these up to `reduction` or beyond."""
    divisor = next((divisor for divisor in (1, 2, 4) if divisor >= reduction), _LARGEST_REDUCTION)
    still = extract_still(data, "JPEG")
    with wrap_decoder_errors(), Image.open(_open_pieces(*still.pieces), formats=("JPEG",)) as picture:
        picture.draft(picture.mode, (max(1, picture.width // divisor), max(1, picture.height // divisor)))
        picture.load()
        return turn_upright(picture, still.orientation)


class _Pieces(io.RawIOBase):
    """Reads pieces as one file."""

    def __init__(self, pieces: Sequence[bytes | memoryview]) -> None:
        self._pieces = [memoryview(piece) for piece in pieces if piece]
        self._starts = [0, *accumulate(len(piece) for piece in self._pieces)]
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = max(0, offset + (0, self._position, self._starts[-1])[whence])
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        if self._position >= self._starts[-1]:
            return 0
        n = bisect_right(self._starts, self._position) - 1
        start, target = self._position - self._starts[n], memoryview(buffer)
        part = self._pieces[n][start : start + len(target)]
        target[: len(part)] = part
        self._position += len(part)
        return len(part)


def _open_pieces(*pieces: bytes | memoryview) -> io.BufferedReader:
    return io.BufferedReader(_Pieces(pieces))


# PNG.


@dataclass(frozen=True, slots=True)
class _PngHeader:
    """The parts of a PNG before its pixels."""

    width: int
    height: int
    depth: int
    color_type: int
    is_interlaced: bool
    palette: bytes
    transparency: bytes
    orientation: int

    @property
    def row_bytes(self) -> int:
        return (self.width * self.depth * _CHANNELS[self.color_type] + 7) // 8

    @property
    def pixel_bytes(self) -> int:
        return max(1, self.depth * _CHANNELS[self.color_type] // 8)


def _decode_png(data: memoryview, facts: FileFacts, reduction: int) -> Image.Image:
    """Return a PNG, upright, with sides divided by `reduction`."""
    header = _read_header(data)
    if header.is_interlaced or header.pixel_bytes not in _COLOR_TYPES_BY_PIXEL_BYTES:
        raise FileTooLarge("That picture is too large to be made smaller here.")
    has_alpha = header.color_type in (4, 6) or (header.color_type == 3 and bool(header.transparency))
    mode = "RGBA" if has_alpha else "RGB"
    size = ceil(facts.width / reduction), ceil(facts.height / reduction)
    reduced, top = Image.new(mode, size), 0
    with wrap_decoder_errors():
        for rows, count in _iterate_strips(data, header, reduction):
            strip = _make_strip(header, rows, count).convert(mode).reduce(reduction)
            reduced.paste(strip, (0, top))
            top += strip.height
        if top != size[1]:
            raise BadFile("That picture is damaged or not complete.")
        with Image.open(_open_pieces(data), formats=("PNG",)) as picture:
            reduced.info = {"icc_profile": picture.info.get("icc_profile")} if header.color_type in (2, 6) else {}
        return turn_upright(reduced, header.orientation)


def _read_header(data: memoryview) -> _PngHeader:
    palette = transparency = b""
    width = height = depth = color_type = interlacing = 0
    orientation = 1
    for name, content in iterate_png_chunks(data):
        if name == b"IHDR":
            width, height, depth, color_type, _, _, interlacing = struct.unpack_from(">IIBBBBB", content)
        elif name == b"PLTE":
            palette = bytes(content[:768])
        elif name == b"tRNS":
            transparency = bytes(content[:256])
        elif name == b"eXIf":
            orientation = read_exif_orientation(bytes(content[:_STRIP_BYTES]))
        elif name == b"IDAT":
            break
    if color_type not in _CHANNELS:
        raise BadFile("That picture is damaged or not complete.")
    return _PngHeader(width, height, depth, color_type, bool(interlacing), palette, transparency, orientation)


def _iterate_strips(data: memoryview, header: _PngHeader, reduction: int) -> Iterator[tuple[bytes, int]]:
    """Yield the unfiltered bytes of strips of rows, and the number of rows: whole multiples of the reduction."""
    filtered_bytes = header.row_bytes + 1
    rows = max(reduction, _STRIP_BYTES // filtered_bytes // reduction * reduction)
    waiting, last_row, left = bytearray(), bytes(header.row_bytes), header.height
    for unpacked in _unpack(data):
        waiting += unpacked
        while left and len(waiting) >= filtered_bytes * min(rows, left):
            count = min(rows, left)
            raw = _unfilter(header, last_row, bytes(waiting[: filtered_bytes * count]), count)
            del waiting[: filtered_bytes * count]
            last_row, left = raw[-header.row_bytes :], left - count
            yield raw, count


def _unpack(data: memoryview) -> Iterator[bytes]:
    """Yield the unpacked pixel data of a PNG, some hundred kilobytes at a time."""
    unpacker = zlib.decompressobj()
    for name, content in iterate_png_chunks(data):
        if name != b"IDAT":
            continue
        for start in range(0, len(content), 64 * 1024):
            packed: bytes | memoryview = content[start : start + 64 * 1024]
            while packed and not unpacker.eof:
                yield unpacker.decompress(packed, 256 * 1024)
                packed = unpacker.unconsumed_tail
    while tail := unpacker.decompress(b"", 256 * 1024):
        yield tail


def _unfilter(header: _PngHeader, last_row: bytes, filtered: bytes, count: int) -> bytes:
    """Return the raw bytes of rows, by a PNG of these rows whose first row is the row before, without a filter."""
    color_type, mode = _COLOR_TYPES_BY_PIXEL_BYTES[header.pixel_bytes]
    width = header.row_bytes // header.pixel_bytes
    pixels = zlib.compress(b"\x00" + last_row + filtered, 0)
    png = b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            *make_png_chunk(b"IHDR", struct.pack(">IIBBBBB", width, count + 1, 8, color_type, 0, 0, 0)),
            *make_png_chunk(b"IDAT", pixels),
            *make_png_chunk(b"IEND", b""),
        ]
    )
    with Image.open(io.BytesIO(png), formats=("PNG",)) as strip:
        strip.load()
        raw = strip.tobytes() if strip.mode == mode else strip.convert(mode).tobytes()
    return raw[header.row_bytes :]


def _make_strip(header: _PngHeader, raw: bytes, count: int) -> Image.Image:
    """Return rows of raw bytes as a picture."""
    size = header.width, count
    if header.depth == 16:  # the first byte of each value is the high one
        pairs = Image.frombytes("LA" if header.color_type == 0 else "RGBA", size, raw)
        channels = pairs.split()
        return channels[0] if header.color_type == 0 else Image.merge("LA", (channels[0], channels[2]))
    if header.color_type == 3:
        strip = Image.frombytes("P", size, raw, "raw", "P" if header.depth == 8 else f"P;{header.depth}")
        strip.putpalette(header.palette)
        if header.transparency:
            strip.info["transparency"] = header.transparency
        return strip
    if header.color_type == 0:
        rawmode = {8: "L", 1: "1", 2: "L;2", 4: "L;4"}[header.depth]
        return Image.frombytes("1" if header.depth == 1 else "L", size, raw, "raw", rawmode)
    return Image.frombytes(_COLOR_TYPES_BY_PIXEL_BYTES[header.pixel_bytes][1], size, raw)
