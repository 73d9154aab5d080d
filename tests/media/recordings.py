"""Small sounds and videos of each container, with real structure; `comment` is text that a person wrote into one."""

import io
import struct
import wave
from collections.abc import Sequence

from PIL import Image

SECRET = b"recorded at 12 Rose Lane"


def make_wav(seconds: float = 1, *, hertz: int = 8_000, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(hertz)
        count = round(seconds * hertz)
        wave_of_40 = struct.pack("<h", -8_000) * 20 + struct.pack("<h", 8_000) * 20
        sound.writeframes((wave_of_40 * (count // 40 + 1))[: 2 * count])
    data = buffer.getvalue()
    if not comment:
        return data
    info = b"INFOICMT" + struct.pack("<I", len(comment)) + comment + bytes(len(comment) % 2)
    data += b"LIST" + struct.pack("<I", len(info)) + info
    return data[:4] + struct.pack("<I", len(data) - 8) + data[8:]


def make_mp3(seconds: float = 1, *, comment: bytes = b"") -> bytes:
    """Silent frames of 128 kbit/s at 44.1 kHz, with ID3 tags before and behind the sound."""
    frame = b"\xff\xfb\x90\x64" + bytes(413)
    data = frame * round(seconds * 44_100 / 1_152)
    if not comment:
        return data
    text = b"COMM" + struct.pack(">I", len(comment) + 5) + b"\x00\x00\x00eng\x00" + comment
    size = bytes(len(text) >> 7 * n & 0x7F for n in (3, 2, 1, 0))
    return b"ID3\x03\x00\x00" + size + text + data + b"TAG" + comment.ljust(125, b"\x00")[:125]


OPUS_SILENCE = b"\xf8\xff\xfe"
"""A packet of 20 ms."""


def make_ogg(seconds: float = 1, *, comment: bytes = b"", packets: Sequence[bytes] = ()) -> bytes:
    """Opus: packets of 20 ms, of silence unless others are given."""
    head = b"OpusHead\x01\x01" + struct.pack("<HIhB", 312, 48_000, 0, 0)
    comments = [comment] if comment else []
    tags = b"OpusTags" + struct.pack("<I", 4) + b"test" + struct.pack("<I", len(comments))
    tags += b"".join(struct.pack("<I", len(text)) + text for text in comments)
    sound = packets or [OPUS_SILENCE] * round(seconds * 50)
    granule = 312 + round(seconds * 48_000)
    return _make_page(2, 0, 0, [head]) + _make_page(0, 0, 1, [tags]) + _make_page(4, granule, 2, sound)


def make_ogg_checksum(page: bytes) -> int:
    """RFC 3533, 6: polynomial 04C11DB7, not reflected, from 0, over the page with a checksum of 0; bit by bit."""
    checksum = 0
    for byte in page[:22] + bytes(4) + page[26:]:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if checksum & 0x80000000 else checksum << 1
    return checksum


def _make_page(flags: int, granule: int, number: int, packets: Sequence[bytes]) -> bytes:
    lacing = b"".join(b"\xff" * (len(packet) // 255) + bytes([len(packet) % 255]) for packet in packets)
    page = b"OggS\x00" + bytes([flags]) + struct.pack("<QIII", granule, 7, number, 0) + bytes([len(lacing)]) + lacing
    page += b"".join(packets)
    return page[:22] + struct.pack("<I", make_ogg_checksum(page)) + page[26:]


def make_flac(seconds: float = 1, *, comment: bytes = b"") -> bytes:
    samples = round(seconds * 44_100)
    packed = 44_100 << 44 | 15 << 36 | samples
    info = struct.pack(">HH", 4_096, 4_096) + bytes(6) + packed.to_bytes(8, "big") + bytes(16)
    tags = struct.pack("<I", 4) + b"test" + struct.pack("<II", 1, len(comment)) + comment
    blocks = b"\x00" + len(info).to_bytes(3, "big") + info
    blocks += b"\x84" + len(tags).to_bytes(3, "big") + tags
    return b"fLaC" + blocks + b"\xff\xf8" + bytes(60)


def make_box(name: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I", len(content) + 8) + name + content


def make_mp4(
    seconds: float = 1,
    *,
    brand: bytes = b"isom",
    has_video: bool = True,
    comment: bytes = b"",
    size: tuple[int, int] = (64, 48),
) -> bytes:
    """The boxes of a movie, without frames."""
    sides = struct.pack(">II", size[0] << 16, size[1] << 16)
    handlers = [b"vide", b"soun"] if has_video else [b"soun"]
    tracks = [
        make_box(
            b"trak",
            make_box(b"tkhd", bytes(76), sides if kind == b"vide" else bytes(8)),
            make_box(b"mdia", make_box(b"hdlr", bytes(8), kind, bytes(13))),
        )
        for kind in handlers
    ]
    header = make_box(b"mvhd", bytes(12), struct.pack(">II", 1_000, round(seconds * 1_000)), bytes(80))
    notes = [make_box(b"udta", make_box(b"\xa9cmt", comment))] if comment else []
    return (
        make_box(b"ftyp", brand, bytes(4), brand)
        + make_box(b"moov", header, *tracks, *notes)
        + make_box(b"mdat", bytes(100))
    )


def make_element(id_: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return id_.to_bytes((id_.bit_length() + 7) // 8, "big") + (1 << 56 | len(content)).to_bytes(8, "big") + content


def make_webm(seconds: float = 1, *, has_video: bool = True, has_length: bool = True, comment: bytes = b"") -> bytes:
    """Key frames of VP8 at ten a second: a browser plays them. Without a video, the file has no blocks either."""
    frames = [_make_vp8_frame(n) for n in range(round(seconds * 10))] if has_video else []
    info = [make_element(0x2AD7B1, (1_000_000).to_bytes(3, "big"))]
    if has_length:
        info.append(make_element(0x4489, struct.pack(">d", seconds * 1_000)))
    number, kind = make_element(0xD7, b"\x01"), make_element(0x83, b"\x01" if has_video else b"\x02")
    if has_video:
        sides = make_element(0xE0, make_element(0xB0, b"\x40"), make_element(0xBA, b"\x30"))
        track = make_element(0xAE, number, make_element(0x73C5, b"\x01"), kind, make_element(0x86, b"V_VP8"), sides)
    else:
        track = make_element(0xAE, number, kind, make_element(0x86, b"A_OPUS"))
    blocks = [make_element(0xA3, b"\x81", struct.pack(">h", n * 100), b"\x80", frame) for n, frame in enumerate(frames)]
    tags = [make_element(0x1254C367, make_element(0x7373, comment))] if comment else []
    segment = make_element(
        0x18538067,
        make_element(0x1549A966, *info),
        make_element(0x1654AE6B, track),
        *tags,
        make_element(0x1F43B675, make_element(0xE7, b"\x00"), *blocks),
    )
    head = [
        make_element(id_, value)
        for id_, value in ((0x4286, b"\x01"), (0x42F7, b"\x01"), (0x42F2, b"\x04"), (0x42F3, b"\x08"))
    ]
    return (
        make_element(
            0x1A45DFA3,
            *head,
            make_element(0x4282, b"webm"),
            make_element(0x4287, b"\x02"),
            make_element(0x4285, b"\x02"),
        )
        + segment
    )


def _make_vp8_frame(n: int) -> bytes:
    """A key frame from a lossy WebP: its chunk `VP8 ` holds one."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (25 * n % 256, 80, 160)).save(buffer, "WEBP", lossless=False)
    data = buffer.getvalue()
    start = data.index(b"VP8 ")
    return data[start + 8 : start + 8 + int.from_bytes(data[start + 4 : start + 8], "little")]


RECORDINGS = {
    "audio/wav": make_wav,
    "audio/mpeg": make_mp3,
    "audio/ogg": make_ogg,
    "audio/flac": make_flac,
    "video/mp4": make_mp4,
    "video/webm": make_webm,
}
"""A maker for each container."""
