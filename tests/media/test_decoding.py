"""Untrusted pictures: refusals with their sentences, and the removal of metadata."""

import struct
import zlib
from io import BytesIO
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageStat
from PIL.PngImagePlugin import PngInfo

from bot.core.errors import BadFile
from bot.core.file_types import FileFacts
from bot.media.decoding import clean, inspect, shrink
from tests.media.pictures import (
    GPS_TAG,
    SECRET,
    encode_picture,
    make_16_bit_grey,
    make_animated_gif,
    make_animated_webp,
    make_exif,
    make_png_bomb,
    make_png_chunk,
    make_webp_bomb,
    make_webp_header,
    open_picture,
)

TOO_MANY_PIXELS = "That picture has too many pixels: at most 25 million, please."
DAMAGED = "That picture is damaged or not complete."
KINDS = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": "image/gif"}


def make_tiff() -> bytes:
    return encode_picture("TIFF")


@pytest.mark.parametrize(("kind", "mime"), KINDS.items())
def test_a_picture_is_measured_by_its_content(kind: str, mime: str) -> None:
    assert inspect(encode_picture(kind)) == FileFacts(mime, 60, 40)


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"", "an empty file"),
        (b"<svg/>", "an SVG drawing"),
        (b"%PDF-1.7", "a PDF"),
        (b"%!PS-Adobe", "a PostScript file"),
        (make_tiff(), "a TIFF picture or a camera's raw file"),
        (b"hello", "a text"),
    ],
    ids=["none", "svg", "pdf", "eps", "tiff", "text"],
)
def test_other_files_are_refused_by_what_they_are(data: bytes, name: str) -> None:
    with pytest.raises(BadFile) as refused:
        clean(data)

    assert (
        str(refused.value) == f"That is {name}, not a picture I can read: PNG, JPEG, WebP, GIF, AVIF or HEIC, please."
    )


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    data = make_png_bomb()
    assert len(data) < 30_000

    with pytest.raises(BadFile) as refused:
        clean(data)

    assert str(refused.value) == TOO_MANY_PIXELS


@pytest.mark.parametrize(
    "data",
    [make_png_bomb(5_500, 5_500), make_png_bomb(30_000, 30_000), make_webp_bomb()],
    ids=["30 MP", "900 MP", "webp"],
)
def test_other_bombs_are_refused_too(data: bytes) -> None:
    with pytest.raises(BadFile) as refused:
        inspect(data)

    assert str(refused.value) == TOO_MANY_PIXELS


def test_25_megapixels_are_taken_and_one_pixel_more_is_refused() -> None:
    assert inspect(make_png_bomb(5_000, 5_000)) == FileFacts("image/png", 5_000, 5_000)
    with pytest.raises(BadFile, match=TOO_MANY_PIXELS):
        inspect(make_png_bomb(5_000, 5_001))


@pytest.mark.parametrize("kind", ["VP8X", "VP8L", "VP8 "])
def test_a_webp_is_measured_by_its_header_to_the_pixel(kind: str) -> None:
    with pytest.raises(BadFile, match=DAMAGED):  # within the limit: Pillow opens the file
        inspect(make_webp_header(kind, 5_000, 5_000))
    for size in ((5_000, 5_001), (5_001, 5_000)):
        with pytest.raises(BadFile, match=TOO_MANY_PIXELS):
            inspect(make_webp_header(kind, *size))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_half_a_picture_is_refused(kind: str, share: float) -> None:
    noise = Image.effect_noise((200, 200), 80).convert("RGB")
    whole = BytesIO()
    noise.save(whole, kind)

    with pytest.raises(BadFile) as refused:
        clean(whole.getvalue()[: int(len(whole.getvalue()) * share)])

    assert str(refused.value) == DAMAGED


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_a_spoilt_picture_never_raises_anything_else(kind: str, data: st.DataObject) -> None:
    spoilt = bytearray(encode_picture(kind, (16, 16)))
    for _ in range(data.draw(st.integers(1, 4))):
        spoilt[data.draw(st.integers(0, len(spoilt) - 1))] = data.draw(st.integers(0, 255))

    try:
        cleaned = clean(bytes(spoilt))
    except BadFile:
        return
    assert open_picture(cleaned.data).size == (cleaned.facts.width, cleaned.facts.height)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_camera_and_place_are_removed_and_pixels_stay(kind: str) -> None:
    told = encode_picture(kind, exif=make_exif())
    assert SECRET in told

    cleaned = clean(told)

    assert SECRET not in cleaned.data
    assert not open_picture(cleaned.data).getexif().get_ifd(GPS_TAG)
    assert open_picture(cleaned.data).tobytes() == open_picture(told).tobytes()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_picture_is_turned_upright_before_its_exif_goes(kind: str) -> None:
    cleaned = clean(encode_picture(kind, exif=make_exif(orientation=6)))

    assert cleaned.facts == FileFacts(KINDS[kind], 40, 60)
    assert SECRET not in cleaned.data
    red, green, blue = open_picture(cleaned.data).convert("RGB").getpixel((20, 5))  # type: ignore[misc]  # three for RGB
    assert (red > 200, green < 60, blue < 60) == (True, True, True)


def test_data_hidden_in_a_png_is_removed() -> None:
    data = encode_picture("PNG")
    hidden = (
        data[:-12]
        + make_png_chunk(b"tEXt", b"Comment\x00" + SECRET)
        + make_png_chunk(b"zzZz", SECRET)
        + data[-12:]
        + b"PK\x03\x04"
        + SECRET
    )

    cleaned = clean(hidden)

    assert cleaned.data == data


def test_data_hidden_in_a_jpeg_is_removed() -> None:
    data = encode_picture("JPEG", comment=SECRET) + b"PK\x03\x04" + SECRET

    cleaned = clean(data)

    assert SECRET not in cleaned.data
    assert open_picture(cleaned.data).tobytes() == open_picture(data).tobytes()


def test_data_behind_a_webp_is_removed() -> None:
    data = encode_picture("WEBP", exif=make_exif()) + SECRET

    assert SECRET not in clean(data).data


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP"])
def test_a_colour_profile_stays_when_it_is_small(kind: str) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

    cleaned = clean(encode_picture(kind, icc_profile=profile, exif=make_exif()))

    assert open_picture(cleaned.data).info["icc_profile"] == profile


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "JPEG"])
def test_a_colour_profile_goes_when_it_is_large(kind: str) -> None:
    cleaned = clean(encode_picture(kind, icc_profile=Random(1).randbytes(200_000)))

    assert not open_picture(cleaned.data).info.get("icc_profile")


def test_a_progressive_jpeg_keeps_its_scans() -> None:
    data = encode_picture("JPEG", progressive=True, exif=make_exif())

    assert open_picture(clean(data).data).tobytes() == open_picture(data).tobytes()


@pytest.mark.parametrize(
    ("data", "mime"), [(make_animated_gif(), "image/png"), (make_animated_webp(), "image/webp")], ids=["gif", "webp"]
)
def test_an_animation_becomes_its_first_frame(data: bytes, mime: str) -> None:
    cleaned = clean(data)

    assert cleaned.facts == FileFacts(mime, 30, 30)
    frame = open_picture(cleaned.data)
    assert not getattr(frame, "is_animated", False)
    assert frame.convert("RGB").getpixel((15, 15))[0] > 200  # type: ignore[index]  # three for RGB


def test_transparent_pictures_stay_transparent() -> None:
    data = encode_picture("PNG", mode="RGBA", exif=make_exif(orientation=3))

    assert open_picture(clean(data).data).mode == "RGBA"


GREY_16 = 127 * 257
"""The middle grey of 16 bits."""


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_16_bit_grey_keeps_its_brightness_when_turned(orientation: int) -> None:
    cleaned = clean(make_16_bit_grey((40, 30), GREY_16, exif=make_exif(orientation=orientation)))

    picture = open_picture(cleaned.data)
    grey = picture.getpixel((3, 3))
    assert grey == (GREY_16 if orientation == 1 else (127, 127, 127))
    assert (cleaned.facts.width, cleaned.facts.height) == ((30, 40) if orientation > 4 else (40, 30))


@pytest.mark.parametrize("bounds", [{"max_pixels": 3_000}, {"max_bytes": 20_000}])
def test_16_bit_grey_keeps_its_brightness_when_made_smaller(bounds: dict[str, int]) -> None:
    noise = Image.frombytes("I;16", (200, 150), Random(7).randbytes(60_000))
    encoded = BytesIO()
    noise.save(encoded, "PNG")

    small = shrink(encoded.getvalue(), **bounds)

    assert len(small.data) < len(encoded.getvalue())
    assert ImageStat.Stat(open_picture(small.data).convert("L")).mean == pytest.approx([127], abs=3)


XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP", "PNG"])
def test_an_orientation_in_xmp_alone_turns_nothing_as_in_browsers(kind: str) -> None:
    if kind == "PNG":
        notes = PngInfo()
        notes.add_itxt("XML:com.adobe.xmp", XMP.decode())
        data = encode_picture(kind, pnginfo=notes)
    else:
        data = encode_picture(kind, xmp=XMP)
    assert b"tiff:Orientation" in data

    cleaned = clean(data)

    assert cleaned.facts == FileFacts(KINDS[kind], 60, 40)
    assert b"tiff:Orientation" not in cleaned.data
    assert open_picture(cleaned.data).tobytes() == open_picture(data).tobytes()


def test_broken_exif_is_no_reason_to_refuse() -> None:
    data = encode_picture("JPEG")
    broken = (
        data[:2] + b"\xff\xe1" + struct.pack(">H", 30) + b"Exif\x00\x00MM\x00*\xff\xff\xff\xff" + bytes(14) + data[2:]
    )

    assert open_picture(clean(broken).data).tobytes() == open_picture(data).tobytes()


def test_a_picture_that_fits_stays_unchanged() -> None:
    data = encode_picture("PNG")

    assert shrink(data, max_bytes=len(data), max_pixels=2400).data == data


def test_a_picture_of_too_many_pixels_becomes_smaller() -> None:
    small = shrink(encode_picture("PNG", (400, 200)), max_pixels=20_000)

    assert small.facts == FileFacts("image/png", 200, 100)


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_picture_of_too_many_bytes_is_compressed(mode: str) -> None:
    noise = Image.effect_noise((300, 300), 80).convert(mode)
    whole = BytesIO()
    noise.save(whole, "PNG")

    small = shrink(whole.getvalue(), max_bytes=20_000)

    assert len(small.data) <= 20_000
    assert small.facts.mime == ("image/jpeg" if mode == "RGB" else "image/webp") or mode == "RGBA"
    assert open_picture(small.data).size == (small.facts.width, small.facts.height)


def test_a_picture_that_cannot_be_compressed_is_refused() -> None:
    with pytest.raises(BadFile, match="too large: at most 50 bytes"):
        shrink(encode_picture("PNG"), max_bytes=50)


@given(st.data())
def test_a_png_that_is_kept_unchanged_can_be_decoded(data: st.DataObject) -> None:
    width, height, depth = (
        data.draw(st.integers(1, 9)),
        data.draw(st.integers(1, 9)),
        data.draw(st.sampled_from((8, 16))),
    )
    color_type, samples = data.draw(st.sampled_from(((0, 1), (2, 3), (4, 2), (6, 4))))
    row = st.tuples(
        st.integers(0, 5), st.binary(min_size=width * samples * depth // 8, max_size=width * samples * depth // 8)
    )
    rows = data.draw(st.lists(row, min_size=max(1, height - 1), max_size=height + 1))
    packed = zlib.compress(b"".join(bytes([number]) + values for number, values in rows))
    cut = data.draw(st.integers(0, len(packed)))
    between = make_png_chunk(b"gAMA", struct.pack(">I", 45_455)) if data.draw(st.booleans()) else b""
    header = struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0)
    parts = [make_png_chunk(b"IHDR", header), make_png_chunk(b"IDAT", packed[:cut]), between]
    picture = (
        b"\x89PNG\r\n\x1a\n" + b"".join(parts) + make_png_chunk(b"IDAT", packed[cut:]) + make_png_chunk(b"IEND", b"")
    )

    try:
        cleaned = clean(picture)
    except BadFile:
        return
    open_picture(cleaned.data).load()
