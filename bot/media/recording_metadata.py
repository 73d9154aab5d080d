"""Removes what people wrote into sounds and videos: titles, comments, places, covers.

Nothing is encoded again, and no sound or frame moves: most containers refer to their content by position. So a part
with words is overwritten in place, by the kind of part that each container has for empty space. Left as they are: the
sound and the frames themselves, subtitles, and tracks of timed data.
"""

import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count, islice

from bot.core.file_types import find_kind
from bot.core.limits import MAX_CONTAINER_PARTS, MAX_REMOVED_PARTS
from bot.media.recordings import (
    CLUSTER,
    INFO,
    OGG_FLAC,
    OPUS,
    SEGMENT,
    TRACK,
    TRACKS,
    VORBIS,
    find_mp3_end,
    find_mp3_sound,
    iterate_boxes,
    iterate_elements,
    iterate_ogg_pages,
    iterate_riff_chunks,
    make_too_many_parts_error,
)
from bot.media.stripping import Buffer

Patch = tuple[int, int, bytes]
"""Start and end in a file, and the new bytes; the rest up to the end becomes zeros."""

_ZEROS = memoryview(bytes(1024 * 1024))


def strip_recording(data: Buffer, mime: str) -> list[bytes | memoryview]:
    """Return a measured sound or video without what people wrote into it, in pieces that refer to the original.

    Raise `BadFile` for a file of more such parts than the bound.
    """
    view = memoryview(data)
    if mime == "audio/mpeg":  # nothing in an MP3 refers to a position
        return [view[find_mp3_sound(data) : _find_mp3_words(data)]]
    pieces: list[bytes | memoryview] = []
    position = 0
    patches = list(islice(_FINDERS[mime](data), MAX_REMOVED_PARTS + 1))
    if len(patches) > MAX_REMOVED_PARTS:
        raise make_too_many_parts_error(find_kind(mime).noun)
    for start, end, content in sorted(patches):
        if start < position:  # parts that overlap
            continue
        pieces += [view[position:start], content]
        pieces += [_ZEROS[:left] for left in range(end - start - len(content), 0, -len(_ZEROS))]
        position = end
    return [piece for piece in (*pieces, view[position:]) if len(piece)]


def _find_mp3_words(data: Buffer) -> int:
    """Return where the words at the end of an MP3 begin: tags of ID3v1, and of APE (wiki.hydrogenaud.io, APEv2)."""
    end = find_mp3_end(data)
    footer = bytes(data[max(0, end - 32) : end])
    if not footer.startswith(b"APETAGEX"):
        return end
    has_header = int.from_bytes(footer[20:24], "little") >> 31
    return max(find_mp3_sound(data), end - int.from_bytes(footer[12:16], "little") - 32 * has_header)


_WAV_CHUNKS = frozenset({b"fmt ", b"data", b"fact", b"ds64", b"smpl", b"PEAK"})


def _find_wav_words(data: Buffer) -> Iterator[Patch]:
    for name, start, end in iterate_riff_chunks(data):
        if name not in _WAV_CHUNKS:
            yield start - 8, start - 4, b"JUNK"
            yield start, end, b""


# RFC 9639, 8.1: the kinds of blocks; the high bit marks the last.
_FLAC_INFO, _FLAC_PADDING, _FLAC_SEEK_TABLE = 0, 1, 3


def _find_flac_words(data: Buffer) -> Iterator[Patch]:
    position = 4
    for _ in range(MAX_CONTAINER_PARTS):
        if position + 4 > len(data):
            return
        mark, start = data[position], position + 4
        end = min(start + int.from_bytes(data[position + 1 : start], "big"), len(data))
        if mark & 0x7F not in (_FLAC_INFO, _FLAC_SEEK_TABLE):
            yield position, position + 1, bytes([mark & 0x80 | _FLAC_PADDING])
            yield start, end, b""
        position = end
        if mark & 0x80:
            break
    if (tag := find_mp3_end(data)) > position:
        yield tag, len(data), b""


# ISO/IEC 14496-12: the boxes that a player needs, by the box around them.
_BOXES: Mapping[bytes, frozenset[bytes]] = {
    b"": frozenset([b"ftyp", b"styp", b"moov", b"mdat", b"moof", b"mfra", b"sidx", b"wide", b"pdin"]),
    b"moov": frozenset([b"mvhd", b"trak", b"mvex", b"iods", b"pssh"]),
    b"trak": frozenset([b"tkhd", b"mdia", b"edts", b"tref", b"tapt", b"load"]),
}


def _find_mp4_words(data: Buffer) -> Iterator[Patch]:
    return _find_boxes_with_words(data, b"", 0, len(data), count())


def _find_boxes_with_words(
    data: Buffer, parent: bytes, start: int, end: int, numbers: Iterator[int]
) -> Iterator[Patch]:
    """Look into the boxes between two positions. `numbers` counts the boxes of the whole file."""
    position = start
    for box in iterate_boxes(data, start, end):
        if next(numbers) == MAX_CONTAINER_PARTS:
            raise make_too_many_parts_error("recording")
        if box.name not in _BOXES[parent]:
            yield box.head + 4, box.head + 8, b"free"
            yield box.start, box.end, b""
        elif box.name in _BOXES:
            yield from _find_boxes_with_words(data, box.name, box.start, box.end, numbers)
        position = box.end
    if not parent and position < end:  # words behind the last box
        yield position, end, b""


# Matroska (RFC 9559, 5.1): tags, attachments, chapters; title and name of the file; names of tracks.
_WORDS = frozenset([0x1254C367, 0x1941A469, 0x1043A770, 0x7BA9, 0x7384, 0x536E])


def _find_webm_words(data: Buffer) -> Iterator[Patch]:
    for id_, head, _, end in iterate_elements(data, frozenset([SEGMENT, INFO, TRACKS, TRACK])):
        if id_ in _WORDS and id_ != CLUSTER:
            length = end - head
            size = bytes([0x80 | length - 2]) if length < 128 else b"\x01" + (length - 9).to_bytes(7, "big")
            yield head, end, b"\xec" + size  # the element Void


# Ogg (RFC 3533, 6): a page has a checksum, and the second packet of a stream has the words.


@dataclass(slots=True)
class _OggStream:
    """One stream of an Ogg file, up to the end of its words. `places` are the parts of the packet being read."""

    codec: bytes
    places: list[tuple[int, int]] = field(default_factory=list)
    packets: int = 0
    is_over: bool = False


def _find_ogg_words(data: Buffer) -> Iterator[Patch]:
    streams: dict[bytes, _OggStream] = {}
    pages: list[tuple[int, int]] = []
    words: list[Patch] = []
    for page in iterate_ogg_pages(data):
        number = bytes(data[page.head + 14 : page.head + 18])
        if data[page.head + 5] & 2:
            streams[number] = _OggStream(bytes(data[page.body : page.body + 8]))
        stream = streams.get(number)
        if stream is not None and not stream.is_over:
            pages.append((page.head, page.end))
            words += _read_ogg_page(data, stream, page.lacing, page.body, page.end)
    yield from _patch_pages(data, pages, words)


def _read_ogg_page(data: Buffer, stream: _OggStream, lacing: bytes, body: int, end: int) -> Iterator[Patch]:
    """Follow the packets of a page; yield what replaces a packet of words that ends there."""
    start = position = body
    for size in lacing:
        position = min(position + size, end)
        if size == 255:
            continue
        stream.places.append((start, position))
        yield from _end_ogg_packet(data, stream)
        stream.packets, start = stream.packets + 1, position
        stream.places.clear()
        if stream.is_over:
            return
    if position > start:
        stream.places.append((start, position))


def _end_ogg_packet(data: Buffer, stream: _OggStream) -> Iterator[Patch]:
    packet = b"".join(bytes(data[start:end]) for start, end in stream.places)
    is_flac = stream.codec.startswith(OGG_FLAC)
    if stream.packets == 0:
        return
    # FLAC has a packet for each block; the sound begins with FF.
    stream.is_over = not is_flac or packet[:1] == b"\xff"
    if is_flac and (stream.is_over or packet[:1] in (b"\x03", b"\x83")):
        return
    content = _empty_words(stream.codec, packet)
    for start, end in stream.places:
        yield start, end, content[: end - start]
        content = content[end - start :]


def _empty_words(codec: bytes, packet: bytes) -> bytes:
    """Return a packet of the same length without words: the name of the encoder becomes spaces."""
    if codec.startswith(OPUS) and len(packet) >= 16:  # RFC 7845, 5.2: zeros behind the comments are padding
        return b"OpusTags".ljust(len(packet), b"\x00")
    if codec.startswith(VORBIS) and len(packet) >= 16:  # Vorbis I, 5.2.1: the last byte is a mark
        name = len(packet) - 16
        return b"\x03vorbis" + name.to_bytes(4, "little") + b" " * name + bytes(4) + b"\x01"
    if codec.startswith(OGG_FLAC) and packet:
        return bytes([packet[0] & 0x80 | _FLAC_PADDING]) + packet[1:4] + bytes(max(0, len(packet) - 4))
    return packet


def _patch_pages(data: Buffer, pages: list[tuple[int, int]], words: list[Patch]) -> Iterator[Patch]:
    """Yield the changed pages whole, with their new checksums."""
    left = deque(sorted(words))
    for start, end in pages:
        if not left or left[0][0] >= end:
            continue
        page = bytearray(data[start:end])
        while left and left[0][0] < end:
            first, last, content = left.popleft()
            page[first - start : last - start] = content
        if len(page) >= 27:
            page[22:26] = bytes(4)
            page[22:26] = compute_ogg_checksum(bytes(page)).to_bytes(4, "little")
            yield start, end, bytes(page)


_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def compute_ogg_checksum(page: bytes) -> int:
    """Return the CRC of a page. zlib computes the mirror image of it, from other first and last values."""
    mirrored = zlib.crc32(page.translate(_MIRRORED), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return int(f"{mirrored:032b}"[::-1], 2)


_FINDERS: Mapping[str, Callable[[Buffer], Iterator[Patch]]] = {
    "audio/wav": _find_wav_words,
    "audio/flac": _find_flac_words,
    "audio/ogg": _find_ogg_words,
    "audio/mp4": _find_mp4_words,
    "video/mp4": _find_mp4_words,
    "video/quicktime": _find_mp4_words,
    "audio/webm": _find_webm_words,
    "video/webm": _find_webm_words,
}
