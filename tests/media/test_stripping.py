"""Words hidden in the parts of a picture that are kept: none of them stays."""

import re
import struct
import zlib
from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageStat

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


def insert_before_marker(words: bytes, number: int = -1, **options: Any) -> bytes:
    """Return a JPEG with words behind the pixels of a scan, the last if not said otherwise."""
    data = encode_picture("JPEG", **options)
    scans = [found.start() for found in re.finditer(rb"\xff\xda", data)]
    end = re.compile(rb"\xff[^\x00\xd0-\xd7]").search(data, scans[number] + 14)
    assert end is not None
    return data[: end.start()] + words + data[end.start() :]


def encode_transparent_webp() -> bytes:
    picture = Image.radial_gradient("L").convert("RGBA")
    picture.putalpha(Image.linear_gradient("L"))
    encoded = BytesIO()
    picture.save(encoded, "WEBP")
    return encoded.getvalue()


def add_to_webp_chunk(name: bytes, words: bytes, data: bytes) -> bytes:
    start = data.index(name) + 8
    (length,) = struct.unpack("<I", data[start - 4 : start])
    content = data[start : start + length] + words
    padded = content + bytes(len(content) & 1)
    chunks = data[8 : start - 4] + struct.pack("<I", len(content)) + padded + data[start + length + (length & 1) :]
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


def append_webp_chunk(name: bytes, content: bytes) -> bytes:
    chunks = encode_picture("WEBP")[8:] + name + struct.pack("<I", len(content)) + content + bytes(len(content) & 1)
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


PICTURES: dict[str, Callable[[], bytes]] = {
    "quantization table without a use": lambda: insert_jpeg_segment(0xDB, b"\x03" + (WORDS * 3)[:64]),
    "quantization table that another replaces": lambda: insert_jpeg_segment(0xDB, b"\x00" + (WORDS * 3)[:64]),
    "Huffman table without a use": lambda: insert_jpeg_segment(0xC4, b"\x03" + bytes(15) + bytes([31]) + WORDS),
    "second chunk of pixels": lambda: append_webp_chunk(b"VP8 ", WORDS),
    "WebP chunk without a meaning": lambda: append_webp_chunk(b"WORD", WORDS),
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
    told = PICTURES[name]()

    cleaned = clean(told)

    picture = open_picture(cleaned.data)
    everything = cleaned.data + (picture.info.get("icc_profile") or b"")
    assert not [start for start in range(len(WORDS) - 2) if WORDS[start : start + 3] in everything]
    assert picture.tobytes() == open_picture(told).tobytes()


def test_rows_beyond_the_picture_are_left_out() -> None:
    data = encode_picture("PNG")
    start = data.index(b"IDAT")
    length = struct.unpack(">I", data[start - 4 : start])[0]
    rows = zlib.decompress(data[start + 4 : start + 4 + length])
    hidden = data[: start - 4] + make_png_chunk(b"IDAT", zlib.compress(rows + WORDS, 0)) + data[-12:]

    cleaned = clean(hidden)

    assert WORDS not in cleaned.data
    assert open_picture(cleaned.data).tobytes() == open_picture(data).tobytes()


BEHIND_PIXELS: dict[str, Callable[[], bytes]] = {
    "JPEG": lambda: insert_before_marker(WORDS),
    "JPEG with restart markers": lambda: insert_before_marker(b"\xff\xd0" + WORDS, restart_marker_rows=1),
    "JPEG behind filling": lambda: insert_before_marker(WORDS + b"\xff" * 20),
    **{
        f"scan {number} of a JPEG": partial(insert_before_marker, WORDS, number, progressive=True)
        for number in range(10)
    },
    "lossy WebP": lambda: add_to_webp_chunk(b"VP8 ", WORDS, encode_picture("WEBP")),
    "lossless WebP": lambda: add_to_webp_chunk(b"VP8L", WORDS, encode_picture("WEBP", lossless=True)),
    "alpha of a WebP": lambda: add_to_webp_chunk(b"ALPH", WORDS, encode_transparent_webp()),
}


@pytest.mark.parametrize("name", BEHIND_PIXELS)
def test_words_behind_the_pixels_are_left_out(name: str) -> None:
    told = BEHIND_PIXELS[name]()

    cleaned = clean(told)

    assert not [start for start in range(len(WORDS) - 3) if WORDS[start : start + 4] in cleaned.data]
    difference = ImageStat.Stat(
        ImageChops.difference(open_picture(cleaned.data).convert("RGBA"), open_picture(told).convert("RGBA"))
    )
    assert max(difference.mean) < 4


@pytest.mark.parametrize("progressive", [False, True])
def test_filling_between_the_scans_of_a_jpeg_is_left_out(progressive: bool) -> None:
    plain = encode_picture("JPEG", progressive=progressive)

    cleaned = clean(insert_before_marker(b"\xff" * 1000, progressive=progressive))

    assert cleaned == clean(plain)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    noise=st.sampled_from([0, 1, 20, 90]),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
    options=st.fixed_dictionaries(
        {"progressive": st.booleans(), "optimize": st.booleans(), "quality": st.sampled_from([20, 75, 97])},
        optional={"restart_marker_rows": st.just(1), "subsampling": st.sampled_from([0, 1, 2])},
    ),
)
def test_an_honest_jpeg_keeps_every_pixel(
    size: tuple[int, int], noise: int, mode: str, options: dict[str, Any]
) -> None:
    encoded = BytesIO()
    Image.effect_noise(size, noise).convert("RGB").convert(mode).save(encoded, "JPEG", **options)

    cleaned = clean(encoded.getvalue())

    assert open_picture(cleaned.data).tobytes() == open_picture(encoded.getvalue()).tobytes()
