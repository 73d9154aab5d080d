"""Words hidden in the parts of a picture that are kept: none of them stays."""

import struct
import zlib
from collections.abc import Callable

import pytest
from PIL import ImageCms

from bot.media.decoding import clean
from tests.media.pictures import encode_picture, make_png_chunk, open_picture

WORDS = b"meet me at the old mill at nine"


def insert_png_chunk(name: bytes, content: bytes, mode: str = "RGB") -> bytes:
    data = encode_picture("PNG", mode=mode)
    return data[:33] + make_png_chunk(name, content) + data[33:]


def insert_jpeg_segment(marker: int, content: bytes) -> bytes:
    data = encode_picture("JPEG")
    return data[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content + data[2:]


def add_to_profile() -> bytes:
    """Return a profile of colours with words in its description and between its tags."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    place = profile.index("sRGB built-in".encode("utf-16-be"))
    profile[place : place + 26] = WORDS[:26]
    profile += WORDS
    profile[:4] = struct.pack(">I", len(profile))
    return bytes(profile)


PICTURES: dict[str, Callable[[], bytes]] = {
    "JFIF with a tail": lambda: insert_jpeg_segment(0xE0, b"JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00" + WORDS),
    "APP14 with a tail": lambda: insert_jpeg_segment(0xEE, b"Adobe\x00\x64\x00\x00\x00\x00\x01" + WORDS),
    "APP14 of another maker": lambda: insert_jpeg_segment(0xEE, WORDS),
    "ICC profile in a JPEG": lambda: encode_picture("JPEG", icc_profile=add_to_profile()),
    "ICC profile in a PNG": lambda: encode_picture("PNG", icc_profile=add_to_profile()),
    "ICC profile in a WebP": lambda: encode_picture("WEBP", icc_profile=add_to_profile()),
    "long cHRM": lambda: insert_png_chunk(b"cHRM", WORDS * 10),
    "cHRM of words": lambda: insert_png_chunk(b"cHRM", (WORDS * 2)[:32]),
    "long sBIT": lambda: insert_png_chunk(b"sBIT", WORDS),
    "sBIT of words": lambda: insert_png_chunk(b"sBIT", WORDS[:3]),
    "gAMA of words": lambda: insert_png_chunk(b"gAMA", WORDS[:4]),
    "palette of true colours": lambda: insert_png_chunk(b"PLTE", WORDS[:30]),
    "name of a profile": lambda: insert_png_chunk(b"iCCP", WORDS + b"\x00\x00" + zlib.compress(b"no profile")),
    "bytes after the compressed data": lambda: (
        encode_picture("PNG")[:-12] + make_png_chunk(b"IDAT", WORDS) + make_png_chunk(b"IEND", b"")
    ),
    "words in IEND": lambda: encode_picture("PNG")[:-12] + make_png_chunk(b"IEND", WORDS),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_cleaned_picture_keeps_no_words(name: str) -> None:
    given = PICTURES[name]()

    cleaned = clean(given)

    picture = open_picture(cleaned.data)
    everything = cleaned.data + (picture.info.get("icc_profile") or b"")
    assert not [start for start in range(len(WORDS) - 2) if WORDS[start : start + 3] in everything]
    assert picture.tobytes() == open_picture(given).tobytes()


def test_rows_beyond_the_picture_are_left_out() -> None:
    data = encode_picture("PNG")
    start = data.index(b"IDAT")
    length = struct.unpack(">I", data[start - 4 : start])[0]
    rows = zlib.decompress(data[start + 4 : start + 4 + length])
    hidden = data[: start - 4] + make_png_chunk(b"IDAT", zlib.compress(rows + WORDS, 0)) + data[-12:]

    cleaned = clean(hidden)

    assert WORDS not in cleaned.data
    assert open_picture(cleaned.data).tobytes() == open_picture(data).tobytes()
