"""Pictures of phones (HEIC), and files that are no pictures: what they are is said."""

import asyncio
import io
from pathlib import Path

import pillow_heif
import pytest
from PIL import Image

from bot.core.errors import BadFile, FileTooLarge
from bot.core.file_types import describe_refused, is_heif, is_picture
from bot.media.media import Media
from tests.bench import make_attachment
from tests.fakes.backend import make_png


def make_heic(width: int = 64, height: int = 48, colour: str = "red", mode: str = "RGB", **traits: object) -> bytes:
    """Return a small picture as a phone takes it."""
    buffer = io.BytesIO()
    picture = Image.new(mode, (width, height), colour)
    pillow_heif.from_pillow(picture).save(buffer, quality=90, **traits)
    return buffer.getvalue()


async def test_a_phones_picture_becomes_a_jpeg_of_the_same_look(tmp_path: Path) -> None:
    media = Media(tmp_path)

    file = await media.take_attachment(make_attachment(make_heic(), "IMG_1.HEIC", "image/heic"))

    assert (file.mime, file.width, file.height) == ("image/jpeg", 64, 48)
    with Image.open(file.path) as picture:
        red, green, blue = picture.convert("RGB").getpixel((30, 20))  # type: ignore[misc] # three channels
    assert red > 240
    assert max(green, blue) < 20


async def test_a_transparent_picture_stays_transparent(tmp_path: Path) -> None:
    data = make_heic(mode="RGBA", colour="#ff000080")

    file = await Media(tmp_path).take_attachment(make_attachment(data, "sticker.heic", "image/heic"))

    assert file.mime == "image/png"
    with Image.open(file.path) as picture:
        assert picture.getchannel("A").getextrema() == (128, 128)


async def test_the_words_of_a_phone_are_not_kept(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x010E] = "Ana at home"  # ImageDescription

    file = await Media(tmp_path).take_attachment(
        make_attachment(make_heic(exif=exif.tobytes()), "a.heic", "image/heic")
    )

    assert b"Ana at home" in make_heic(exif=exif.tobytes())
    assert b"Ana at home" not in await asyncio.to_thread(file.path.read_bytes)


async def test_a_turned_picture_is_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Orientation: turn by 90 degrees

    file = await Media(tmp_path).take_attachment(
        make_attachment(make_heic(exif=exif.tobytes()), "a.heic", "image/heic")
    )

    assert (file.width, file.height) == (48, 64)


@pytest.mark.parametrize("end", [40, 200, -20])
async def test_a_broken_picture_is_refused(tmp_path: Path, end: int) -> None:
    with pytest.raises(BadFile, match="That picture is damaged or not complete."):
        await Media(tmp_path).take_attachment(make_attachment(make_heic()[:end], "a.heic", "image/heic"))


async def test_a_picture_with_too_many_pixels_is_refused_before_decoding(tmp_path: Path) -> None:
    data = bytearray(make_heic())
    at = data.index(b"ispe") + 8
    data[at : at + 8] = (30_000).to_bytes(4, "big") * 2

    with pytest.raises((FileTooLarge, BadFile), match="too many pixels|damaged"):
        await Media(tmp_path).take_attachment(make_attachment(bytes(data), "a.heic", "image/heic"))


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"%PDF-1.7 ...", "a PDF"),
        (b"PK\x03\x04....", "a ZIP archive or an Office document"),
        (b"", "an empty file"),
        (b"BM....", "a BMP picture"),
        (b"ID3....", "a sound"),
        (b"RIFF....WAVEfmt ", "a sound"),
        (b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00isommp42", "a video"),
        (b"<?xml version='1.0'?><svg xmlns='x'/>", "an SVG drawing"),
        (b"<!DOCTYPE html><html>", "a web page"),
        ("Лиса бежит.".encode(), "a text"),
    ],
)
def test_a_file_that_is_no_picture_is_named(data: bytes, name: str) -> None:
    expected = f"That is {name}, not a picture I can read: PNG, JPEG, WebP, GIF, AVIF or HEIC, please."

    assert describe_refused(data) == expected
    assert not is_picture(data)


def test_pictures_are_known_by_their_bytes() -> None:
    assert is_picture(make_png())
    assert is_picture(make_heic())
    assert is_heif(make_heic())
    assert describe_refused(b"\x01\x02\x03\x04") == (
        "That file is not a picture I can read: PNG, JPEG, WebP, GIF, AVIF or HEIC, please."
    )
