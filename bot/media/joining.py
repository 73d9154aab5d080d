"""Joins sounds of one format to one file, without decoding: WAV by samples, MP3 by frames, Ogg by pages.

FLAC and MP4 have tables for the whole file, which parts cannot share.
"""

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bot.core.errors import BadFile
from bot.core.limits import MAX_CONTAINER_PARTS
from bot.media.recording_metadata import compute_ogg_checksum
from bot.media.recordings import OPUS, VORBIS, OggPage, iterate_mp3_frames, iterate_ogg_pages, iterate_riff_chunks
from bot.media.stripping import Buffer

Piece = bytes | memoryview

_BROKEN = "A part of the sound is broken."
_OTHER_LAYOUT = "The parts of the sound have different sample rates or channels."


def join_sounds(parts: Sequence[Buffer], mime: str) -> list[Piece]:
    """Return one file in pieces, which refer to the parts. `mime` is the type of all parts.

    Raise `BadFile` for a type that cannot be joined, and for parts that do not fit together.
    """
    join = _JOINERS.get(mime)
    if join is None:
        raise BadFile(f"Sounds of the type {mime} cannot be joined.")
    try:
        return join(parts)
    except (struct.error, IndexError) as error:
        raise BadFile(_BROKEN) from error


# WAV: Multimedia Programming Interface and Data Specifications 1.0, "Waveform Audio File Format".


def _join_wav(parts: Sequence[Buffer]) -> list[Piece]:
    found = [_find_samples(part) for part in parts]
    layout = found[0][0]
    if any(other != layout for other, _ in found):
        raise BadFile(_OTHER_LAYOUT)
    size_bytes = sum(len(samples) for _, samples in found)
    padding = bytes(size_bytes % 2)
    head = b"WAVEfmt " + struct.pack("<I", len(layout)) + layout + b"data" + struct.pack("<I", size_bytes)
    riff = b"RIFF" + struct.pack("<I", len(head) + size_bytes + len(padding))
    return [riff + head, *(samples for _, samples in found), padding]


def _find_samples(part: Buffer) -> tuple[bytes, memoryview]:
    """Return the format and the samples of a WAV file."""
    layout = b""
    for name, start, end in iterate_riff_chunks(part):
        if name == b"fmt ":
            layout = bytes(part[start:end])
        elif name == b"data" and layout:
            # A frame that is cut would shift the channels of all later parts.
            frame_bytes = max(1, struct.unpack_from("<H", layout, 12)[0])
            return layout, memoryview(part)[start : end - (end - start) % frame_bytes]
    raise BadFile(_BROKEN)


# MP3: ISO/IEC 11172-3, 2.4.1.3. Xing, Info and VBRI are the tables that encoders write into a silent first frame.

_TABLE_MARKS = (b"Xing", b"Info", b"VBRI")
_TABLE_BYTES = 48


def _join_mp3(parts: Sequence[Buffer]) -> list[Piece]:
    pieces: list[Piece] = []
    layouts: set[tuple[int, int, bool]] = set()
    for part in parts:
        frames = [frame for frame in iterate_mp3_frames(part) if frame.end <= len(part)]
        if not frames or len(frames) >= MAX_CONTAINER_PARTS:
            raise BadFile(_BROKEN)
        view = memoryview(part)
        heads = (bytes(view[frame.start : frame.start + 4]) for frame in frames)
        layouts |= {(head[1] & 0x18, head[2] & 0x0C, head[3] & 0xC0 == 0xC0) for head in heads}
        # A table tells the length of its part: it would be wrong for the whole.
        sounds = [frame for frame in frames if not _has_table(view[frame.start : frame.end])]
        pieces += (view[start:end] for start, end in _merge((frame.start, frame.end) for frame in sounds))
    if len(layouts) > 1:
        raise BadFile(_OTHER_LAYOUT)
    return pieces


def _has_table(frame: memoryview) -> bool:
    return any(mark in bytes(frame[:_TABLE_BYTES]) for mark in _TABLE_MARKS)


def _merge(places: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield places in order, neighbours as one: a piece for each frame would take a hundred bytes of memory each."""
    begun: tuple[int, int] | None = None
    for start, end in places:
        if begun is not None and begun[1] == start:
            begun = begun[0], end
            continue
        if begun is not None:
            yield begun
        begun = start, end
    if begun is not None:
        yield begun


# Ogg: RFC 3533, 6. The pages of all parts get one serial number, and numbers and positions that run on.

_HEADER_PACKETS: Mapping[bytes, int] = {OPUS: 2, VORBIS: 3}
_BEGINS, _ENDS = 2, 4
_NO_POSITION = 2**64 - 1
_SERIAL = 1
_SETUP = b"\x05vorbis"


@dataclass(frozen=True, slots=True)
class _OggSound:
    """One part. `setup` are the headers that all parts must share: comments may differ."""

    data: Buffer
    setup: bytes
    headers: Sequence[OggPage]
    pages: Sequence[OggPage]

    def read_position(self, page: OggPage) -> int:
        return int.from_bytes(self.data[page.head + 6 : page.head + 14], "little")


def _join_ogg(parts: Sequence[Buffer]) -> list[Piece]:
    sounds = [_read_ogg(part) for part in parts]
    if len({sound.setup for sound in sounds}) > 1:
        raise BadFile(_OTHER_LAYOUT)
    pieces: list[Piece] = []
    begin = 0
    for n, sound in enumerate(sounds):
        is_last = n == len(sounds) - 1
        for page in (*(sound.headers if n == 0 else ()), *sound.pages):
            position = sound.read_position(page)
            flags = sound.data[page.head + 5] & ~_ENDS
            if is_last and page is sound.pages[-1]:
                flags |= _ENDS
            moved = position if position == _NO_POSITION else position + begin
            pieces.append(_rewrite(sound.data, page, flags, moved, len(pieces)))
        begin += max(position for page in sound.pages if (position := sound.read_position(page)) != _NO_POSITION)
    return pieces


def _read_ogg(part: Buffer) -> _OggSound:
    """Return the headers and the pages of sound. Raise `BadFile` for another codec, and for several streams."""
    pages = list(iterate_ogg_pages(part))
    is_whole = bool(pages) and pages[-1].end == len(part) and pages[-1].body + sum(pages[-1].lacing) == len(part)
    if not is_whole or sum(bool(part[page.head + 5] & _BEGINS) for page in pages) != 1:
        raise BadFile(_BROKEN)
    first = bytes(part[pages[0].body : pages[0].end])
    codec = next((codec for codec in _HEADER_PACKETS if first.startswith(codec)), None)
    if codec is None:
        raise BadFile("Sounds of that codec cannot be joined.")
    packets = count = 0
    while packets < _HEADER_PACKETS[codec]:
        packets += sum(size < 255 for size in pages[count].lacing)
        count += 1
    headers, rest = pages[:count], pages[count:]
    positions = (part[page.head + 6 : page.head + 14] for page in rest)
    if not any(int.from_bytes(position, "little") != _NO_POSITION for position in positions):
        raise BadFile(_BROKEN)
    words = b"".join(bytes(part[page.body : page.end]) for page in headers[1:])
    # The books of Vorbis stand behind the comments, which may differ.
    books = words[words.index(_SETUP) :] if codec == VORBIS and _SETUP in words else b""
    return _OggSound(part, first + books, headers, rest)


def _rewrite(data: Buffer, page: OggPage, flags: int, position: int, number: int) -> bytes:
    changed = bytearray(data[page.head : page.end])
    changed[5] = flags
    struct.pack_into("<QIII", changed, 6, position, _SERIAL, number, 0)
    changed[22:26] = compute_ogg_checksum(bytes(changed)).to_bytes(4, "little")
    return bytes(changed)


_JOINERS: Mapping[str, Callable[[Sequence[Buffer]], list[Piece]]] = {
    "audio/wav": _join_wav,
    "audio/mpeg": _join_mp3,
    "audio/ogg": _join_ogg,
}
