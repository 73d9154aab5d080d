"""Reads type and length of sounds and videos from the headers of their containers, without a decoder.

Every length is checked against the bytes that are there, and every loop has a bound: the files come from strangers.
"""

import struct
from collections.abc import Iterator
from itertools import islice, pairwise
from typing import NamedTuple

from bot.core.errors import BadFile
from bot.core.file_types import HEAD_BYTES, FileFacts, MediaKind, detect_file_type, find_kind
from bot.core.limits import MAX_CONTAINER_PARTS, MAX_SOUND_SECONDS, MAX_VIDEO_SECONDS
from bot.core.time_format import format_length
from bot.media.stripping import Buffer

_BROKEN = "That {noun} cannot be read: its header does not fit its content. Please save it again, and send that."


def make_too_many_parts_error(noun: str) -> BadFile:
    """Return the error for a sound or video of too many parts."""
    return BadFile(f"That {noun} is made of too many parts. Please save it again, and send that.")


def measure_recording(data: Buffer) -> FileFacts:
    """Return the facts of a sound or video.

    Raise `BadFile` for a file without content, for a header that contradicts the content, and for any other file.
    """
    file_type = detect_file_type(bytes(data[:HEAD_BYTES]))
    reader = _READERS.get(file_type.mime) if file_type is not None else None
    if file_type is None or reader is None:
        raise BadFile("That file is neither a sound nor a video.")
    try:
        facts = reader(data, file_type.mime)
    except (struct.error, IndexError, ZeroDivisionError, OverflowError) as error:
        raise BadFile(_BROKEN.format(noun=file_type.kind.noun)) from error
    if facts.duration_seconds == 0:
        raise BadFile(f"That {file_type.kind.noun} is empty: nothing is recorded in it.")
    return facts


def check_length(facts: FileFacts, max_seconds: float | None) -> None:
    """Raise `BadFile` for a recording of a person beyond the bot's bound or the model's `max_seconds`."""
    noun = find_kind(facts.mime).noun
    most: float = MAX_VIDEO_SECONDS if find_kind(facts.mime) is MediaKind.VIDEO else MAX_SOUND_SECONDS
    whose = "I take"
    if max_seconds is not None and max_seconds < most:
        most, whose = max_seconds, "this model takes"
    if facts.duration_seconds is not None and facts.duration_seconds > most:
        raise BadFile(
            f"That {noun} is {format_length(facts.duration_seconds)} long, and {whose} at most {format_length(most)}: "
            "cut it, please."
        )


# WAV: Multimedia Programming Interface and Data Specifications 1.0, "Waveform Audio File Format".


def iterate_riff_chunks(data: Buffer) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and end of each chunk's content. The last chunk ends with the file at the latest."""
    position, parts = 12, 0
    while position + 8 <= len(data) and parts < MAX_CONTAINER_PARTS:
        name, size_bytes = (
            bytes(data[position : position + 4]),
            int.from_bytes(data[position + 4 : position + 8], "little"),
        )
        end = min(position + 8 + size_bytes, len(data))
        yield name, position + 8, end
        position, parts = end + size_bytes % 2, parts + 1


def _measure_wav(data: Buffer, mime: str) -> FileFacts:
    frame_bytes = sample_rate = 0
    for name, start, end in iterate_riff_chunks(data):
        if name == b"fmt ":
            _, channels, sample_rate, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", data, start)
            # Only plain samples have a size: coded ones have blocks.
            if not (channels and sample_rate and frame_bytes) or (bits and frame_bytes < channels * bits // 8):
                raise BadFile(_BROKEN.format(noun="sound"))
        elif name == b"data":
            # A program that writes to a pipe leaves the length open: the bytes that are there count.
            return FileFacts(mime, duration_seconds=(end - start) / (frame_bytes * sample_rate))
    raise BadFile(_BROKEN.format(noun="sound"))


# MP3: ISO/IEC 11172-3, 2.4.1.3 and ISO/IEC 13818-3, 2.4.2.3; tags: id3.org/id3v2.4.0-structure.

_BIT_RATES = {
    3: (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_SAMPLE_RATES = (44_100, 48_000, 32_000)
_ID3_FOOTER = 0x10
_MAX_TAGS = 16
_OLD_TAG_BYTES = 128


def find_mp3_sound(data: Buffer) -> int:
    """Return the position behind the ID3 tags at the head of a file."""
    position = 0
    for _ in range(_MAX_TAGS):
        if bytes(data[position : position + 3]) != b"ID3" or position + 10 > len(data):
            break
        size = data[position + 6 : position + 10]
        has_footer = data[position + 5] & _ID3_FOOTER
        position += (20 if has_footer else 10) + sum((byte & 0x7F) << 7 * (3 - n) for n, byte in enumerate(size))
    return position


def find_mp3_end(data: Buffer) -> int:
    """Return the position of the ID3v1 tag at the end of a file, or the end."""
    start = max(0, len(data) - _OLD_TAG_BYTES)
    return start if bytes(data[start : start + 3]) == b"TAG" else len(data)


def _measure_mp3(data: Buffer, mime: str) -> FileFacts:
    position = start = find_mp3_sound(data)
    seconds, frames = 0.0, 0
    for frame in iterate_mp3_frames(data):
        seconds, frames, position = seconds + frame.seconds, frames + 1, frame.end
    if frames == MAX_CONTAINER_PARTS:
        seconds *= (find_mp3_end(data) - start) / (position - start)
    return FileFacts(mime, duration_seconds=seconds)


class Mp3Frame(NamedTuple):
    """A frame of layer 3: its start and end in the file, and its length in seconds."""

    start: int
    end: int
    seconds: float


def iterate_mp3_frames(data: Buffer) -> Iterator[Mp3Frame]:
    """Yield the frames of an MP3, at most `MAX_CONTAINER_PARTS`. The last may be cut off by the file's end."""
    position, end = find_mp3_sound(data), find_mp3_end(data)
    frames = searched = 0
    while position + 4 <= end and frames < MAX_CONTAINER_PARTS and searched <= MAX_CONTAINER_PARTS:
        frame = _read_mp3_frame(bytes(data[position : position + 4]), position)
        if frame is None:
            # Padding, and tags at the end, are no sound.
            position, searched = position + 1, searched + 1
            continue
        yield frame
        position, frames = frame.end, frames + 1


def _read_mp3_frame(header: bytes, start: int) -> Mp3Frame | None:
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3
    rate, sample_rate = header[2] >> 4, header[2] >> 2 & 3
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0 or layer != 1 or version == 1:
        return None
    if not 0 < rate < 15 or sample_rate == 3:
        return None
    is_first_version = version == 3
    hertz = _SAMPLE_RATES[sample_rate] >> (0 if is_first_version else 1 if version == 2 else 2)
    samples = 1152 if is_first_version else 576
    size_bytes = samples // 8 * _BIT_RATES[3 if is_first_version else 2][rate] * 1000 // hertz + (header[2] >> 1 & 1)
    return Mp3Frame(start, start + size_bytes, samples / hertz)


# Ogg: RFC 3533, 6; Opus in Ogg: RFC 7845, 5.1; Vorbis: xiph.org/vorbis/doc/Vorbis_I_spec.html, 4.2.2.

_OPUS_HERTZ = 48_000
OPUS, VORBIS, OGG_FLAC = b"OpusHead", b"\x01vorbis", b"\x7fFLAC"
"""The first bytes of a stream, by codec."""
_OGG_TAIL_BYTES = 128 * 1024
_NO_POSITION = 2**64 - 1


def _measure_ogg(data: Buffer, mime: str) -> FileFacts:
    segments = data[26]
    packet = bytes(data[27 + segments : 27 + segments + 64])
    if packet.startswith(OPUS):
        skipped, hertz = int.from_bytes(packet[10:12], "little"), _OPUS_HERTZ
    elif packet.startswith(VORBIS):
        skipped, hertz = 0, int.from_bytes(packet[12:16], "little")
    elif packet.startswith(OGG_FLAC):
        skipped, hertz = 0, int.from_bytes(packet[27:30], "big") >> 4
    else:
        raise BadFile("That Ogg file holds no sound that I can read: Opus, Vorbis or FLAC, please.")
    return FileFacts(mime, duration_seconds=max(0, _find_last_granule(data) - skipped) / hertz)


class OggPage(NamedTuple):
    """A page of an Ogg file: the positions of its head, its content and its end, and the sizes of its segments."""

    head: int
    body: int
    end: int
    lacing: bytes


def iterate_ogg_pages(data: Buffer) -> Iterator[OggPage]:
    """Yield the pages of an Ogg file, at most `MAX_CONTAINER_PARTS`. The last may be cut off by the file's end."""
    position = 0
    for _ in range(MAX_CONTAINER_PARTS):
        if bytes(data[position : position + 4]) != b"OggS" or position + 27 > len(data):
            return
        lacing = bytes(data[position + 27 : position + 27 + data[position + 26]])
        body = position + 27 + len(lacing)
        end = min(body + sum(lacing), len(data))
        yield OggPage(position, body, end, lacing)
        position = end


def _find_last_granule(data: Buffer) -> int:
    """Return the sample count at the last page with an end of a packet. A page has at most 65 kB."""
    tail = bytes(data[max(0, len(data) - _OGG_TAIL_BYTES) :])
    position = tail.rfind(b"OggS")
    while position >= 0:
        granule = int.from_bytes(tail[position + 6 : position + 14], "little")
        if position + 27 <= len(tail) and granule != _NO_POSITION:
            return granule
        position = tail.rfind(b"OggS", 0, position)
    return 0


class Voice(NamedTuple):
    """What a player of voice messages shows before it reads the sound."""

    duration_seconds: float
    loudness: bytes
    """One value for each tenth of a second, and at most `MAX_LOUDNESS_VALUES`; 255 is the loudest."""


MAX_LOUDNESS_VALUES = 256
_LOUDNESS_SECONDS = 0.1


def read_voice(data: Buffer) -> Voice | None:
    """Return length and loudness of Opus in Ogg; None for any other file."""
    if bytes(data[:4]) != b"OggS" or OPUS not in bytes(data[:HEAD_BYTES]):
        return None
    try:
        seconds = _measure_ogg(data, "audio/ogg").duration_seconds or 0.0
        # The first two packets hold the head and the words of the file.
        sizes = list(islice(_iterate_packet_sizes(data), 2, None))
    except (IndexError, BadFile):
        return None
    if not seconds or not sizes:
        return None
    count = min(MAX_LOUDNESS_VALUES, len(sizes), max(1, round(seconds / _LOUDNESS_SECONDS)))
    edges = [n * len(sizes) // count for n in range(count + 1)]
    means = [sum(sizes[start:end]) / (end - start) for start, end in pairwise(edges)]
    # Without a decoder the loudness is unknown. Opus spends few bytes on silence and more on loud sound: the size of
    # packets is an honest stand-in for the picture of the sound, and nothing else depends on the values.
    return Voice(seconds, bytes(round(255 * mean / (max(means) or 1)) for mean in means))


def _iterate_packet_sizes(data: Buffer) -> Iterator[int]:
    """Yield the size of each packet. Raise `IndexError` if the file does not end with a whole page."""
    size_bytes = end = 0
    for page in iterate_ogg_pages(data):
        for length in page.lacing:
            size_bytes += length
            # A length of 255 goes on with the next one, also on the next page.
            if length < 255:
                yield size_bytes
                size_bytes = 0
        end = page.body + sum(page.lacing)
    if end != len(data):
        raise IndexError("no whole page at the end")


# FLAC: RFC 9639, 8.2.


def _measure_flac(data: Buffer, mime: str) -> FileFacts:
    if data[4] & 0x7F != 0 or len(data) < 42:
        raise BadFile(_BROKEN.format(noun="sound"))
    packed = int.from_bytes(data[18:26], "big")
    hertz, samples = packed >> 44, packed & (1 << 36) - 1
    # The encoder of a stream leaves the number of samples 0.
    return FileFacts(mime, duration_seconds=samples / hertz if samples else None)


# MP4 and QuickTime: ISO/IEC 14496-12, 4.2, 8.2.2 and 8.4.3.


class Box(NamedTuple):
    """A box: its name, and the positions of its head, its content and its end."""

    name: bytes
    head: int
    start: int
    end: int


def iterate_boxes(data: Buffer, start: int, end: int) -> Iterator[Box]:
    """Yield the boxes between two positions. A box that claims more than its parent ends with the parent."""
    position, parts = start, 0
    while position + 8 <= end and parts < MAX_CONTAINER_PARTS:
        size_bytes, name = (
            int.from_bytes(data[position : position + 4], "big"),
            bytes(data[position + 4 : position + 8]),
        )
        head = 8
        if size_bytes == 1:
            size_bytes, head = int.from_bytes(data[position + 8 : position + 16], "big"), 16
        elif size_bytes == 0:  # to the end
            size_bytes = end - position
        if size_bytes < head:
            return
        yield Box(name, position, position + head, min(position + size_bytes, end))
        position, parts = position + size_bytes, parts + 1


def _measure_mp4(data: Buffer, mime: str) -> FileFacts:
    movie = _index_boxes(data, 0, len(data)).get(b"moov")
    parts = _index_boxes(data, movie.start, movie.end) if movie else {}
    header = parts.get(b"mvhd")
    if movie is None or header is None:
        raise BadFile("That recording is not complete: its end is missing. Please send it again.")
    seconds = _read_mp4_duration(data, header)
    tracks = (box for box in iterate_boxes(data, movie.start, movie.end) if box.name == b"trak")
    sizes = [_read_track(data, track) for track in islice(tracks, _MAX_TRACKS)]
    kinds = {kind for kind, _, _ in sizes}
    if b"vide" in kinds:
        width, height = next((width, height) for kind, width, height in sizes if kind == b"vide")
        return FileFacts("video/mp4" if mime == "audio/mp4" else mime, width, height, seconds)
    if b"soun" not in kinds:
        raise BadFile("That file holds neither sound nor pictures.")
    return FileFacts("audio/mp4", duration_seconds=seconds)


_MAX_TRACKS = 8


def _index_boxes(data: Buffer, start: int, end: int) -> dict[bytes, Box]:
    """Return the first box of each name."""
    found: dict[bytes, Box] = {}
    for box in iterate_boxes(data, start, end):
        found.setdefault(box.name, box)
    return found


def _read_track(data: Buffer, track: Box) -> tuple[bytes, int, int]:
    """Return a track's kind, such as `vide`, with width and height in pixels."""
    parts = _index_boxes(data, track.start, track.end)
    media, header = parts.get(b"mdia"), parts.get(b"tkhd")
    handler = _index_boxes(data, media.start, media.end).get(b"hdlr") if media else None
    kind = bytes(data[handler.start + 8 : handler.start + 12]) if handler else b""
    if kind != b"vide" or header is None or header.end - header.start < 84:
        return kind, 0, 0
    width, height = struct.unpack_from(">II", data, header.end - 8)
    return kind, width >> 16, height >> 16


def _read_mp4_duration(data: Buffer, header: Box) -> float | None:
    """Return the length in the movie's header; None for a movie in fragments, which leaves the length open."""
    is_long = data[header.start] == 1
    scale, duration = struct.unpack_from(">IQ" if is_long else ">II", data, header.start + (20 if is_long else 12))
    is_open = duration in (0, 2**32 - 1, 2**64 - 1)
    return None if is_open else duration / scale


# WebM: webmproject.org/docs/container, RFC 8794 for its elements.

SEGMENT, INFO, _SCALE, _DURATION = 0x18538067, 0x1549A966, 0x2AD7B1, 0x4489
TRACKS, TRACK, _TRACK_TYPE, _VIDEO, _WIDTH, _HEIGHT = 0x1654AE6B, 0xAE, 0x83, 0xE0, 0xB0, 0xBA
CLUSTER, _CLUSTER_TIME, _SIMPLE_BLOCK, _BLOCK_GROUP, _BLOCK = 0x1F43B675, 0xE7, 0xA3, 0xA0, 0xA1
_PARENTS = frozenset({SEGMENT, INFO, TRACKS, TRACK, _VIDEO})
_IS_VIDEO = 1
_DEFAULT_SCALE = 1_000_000
_NANOSECONDS = 1_000_000_000

Element = tuple[int, int, int, int]
"""Id, and the positions of the head, the content, and the end."""


def iterate_elements(data: Buffer, parents: frozenset[int]) -> Iterator[Element]:
    """Yield the elements of a file in order, with the children of `parents` behind each parent."""
    position, parts = 0, 0
    while position < len(data) and parts < MAX_CONTAINER_PARTS:
        id_, body = _read_vint(data, position, is_id=True)
        size_bytes, content = _read_vint(data, body)
        if not body or not content:
            return
        end = len(data) if size_bytes is None else min(content + size_bytes, len(data))
        yield id_ or 0, position, content, end
        position, parts = content if id_ in parents or size_bytes is None else end, parts + 1


def _read_vint(data: Buffer, position: int, *, is_id: bool = False) -> tuple[int | None, int]:
    """Return a number of variable length and the position behind; None for an open size, position 0 at a mistake."""
    first = data[position] if position < len(data) else 0
    length = 9 - first.bit_length()
    if not first or position + length > len(data):
        return None, 0
    number = int.from_bytes(data[position : position + length], "big")
    if is_id:
        return number, position + length
    mask = (1 << 7 * length) - 1
    return None if number & mask == mask else number & mask, position + length


def _measure_webm(data: Buffer, mime: str) -> FileFacts:
    values: dict[int, float] = {}
    types: list[int] = []
    for id_, _, content, end in iterate_elements(data, _PARENTS):
        if id_ == CLUSTER:
            break
        body = bytes(data[content : min(end, content + 8)])
        if id_ == _TRACK_TYPE:
            types.append(int.from_bytes(body, "big"))
        elif id_ in (_SCALE, _WIDTH, _HEIGHT):
            values.setdefault(id_, int.from_bytes(body, "big"))
        elif id_ == _DURATION:
            values[id_] = struct.unpack(">d" if len(body) == 8 else ">f", body)[0]
    if not types:
        raise BadFile("That file holds neither sound nor pictures.")
    scale = values.get(_SCALE, _DEFAULT_SCALE) / _NANOSECONDS
    # A browser's recorder leaves the length open.
    ticks = values[_DURATION] if _DURATION in values else _find_last_tick(data)
    seconds = ticks * scale if ticks is not None and 0 <= ticks * scale < _LONGEST_SECONDS else None
    if _IS_VIDEO not in types:
        return FileFacts("audio/webm", duration_seconds=seconds)
    return FileFacts(mime, int(values.get(_WIDTH, 0)), int(values.get(_HEIGHT, 0)), seconds)


_LONGEST_SECONDS = 10_000_000


def _find_last_tick(data: Buffer) -> float | None:
    """Return the start of the last block of a recording without a length; None without blocks."""
    last: float | None = None
    begin = 0
    elements = iterate_elements(data, _PARENTS | {CLUSTER, _BLOCK_GROUP})
    for n, (id_, _, content, end) in enumerate(elements, 1):
        if n == MAX_CONTAINER_PARTS:
            return None
        if id_ == _CLUSTER_TIME:
            begin = int.from_bytes(data[content : min(end, content + 8)], "big")
        elif id_ in (_SIMPLE_BLOCK, _BLOCK):
            _, body = _read_vint(data, content)
            last = max(last or 0, begin + int.from_bytes(data[body : body + 2], "big", signed=True))
    return last


_READERS = {
    "audio/wav": _measure_wav,
    "audio/mpeg": _measure_mp3,
    "audio/ogg": _measure_ogg,
    "audio/flac": _measure_flac,
    "audio/mp4": _measure_mp4,
    "video/mp4": _measure_mp4,
    "video/quicktime": _measure_mp4,
    "video/webm": _measure_webm,
}
