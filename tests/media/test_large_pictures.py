"""Pictures of models: kept whole up to 150 megapixels, and made smaller without being decoded as a whole."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image, ImageChops

from benchmarks.pictures import measure_in_process
from bot.core.errors import BadFile, FileTooLarge, ModelFailed, OutputTooLarge
from bot.core.file_types import FILE_TYPES, FileFacts, MediaKind
from bot.core.models import InputRule, OutputKind
from bot.media import large_pictures
from bot.media.large_pictures import clean_large, shrink_large
from bot.media.media import Media
from tests.core.test_file_types import SAMPLES
from tests.media.pictures import SECRET, encode_picture, make_exif, make_png_bomb, make_webp_header, open_picture
from tests.media.test_hostile_pictures import needs_proc

SIZE = 331, 257


def make_sample(mode: str) -> Image.Image:
    """Return a picture in which no two rows are alike."""
    noise, ramp = Image.effect_noise(SIZE, 60), Image.linear_gradient("L").resize(SIZE)
    colors = Image.merge("RGB", (noise, ramp, noise.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    samples: dict[str, Callable[[], Image.Image]] = {
        "RGB": lambda: colors,
        "RGBA": lambda: Image.merge("RGBA", (*colors.split(), ramp)),
        "L": lambda: noise,
        "LA": lambda: Image.merge("LA", (noise, ramp)),
        "1": lambda: noise.convert("1"),
        "P": lambda: colors.quantize(200),
        "P;4": lambda: colors.quantize(16),
        "P;2": lambda: colors.quantize(4),
        "I;16": lambda: Image.frombytes("I;16", SIZE, Random(1).randbytes(2 * SIZE[0] * SIZE[1])),
    }
    return samples[mode]()


def encode_sample(mode: str, **options: object) -> bytes:
    encoded = io.BytesIO()
    bits = {"bits": int(mode[2:])} if mode.startswith("P;") else {}
    make_sample(mode).save(encoded, "PNG", **bits, **options)
    return encoded.getvalue()


@pytest.fixture
def short_strips(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_pictures, "_STRIP_BYTES", 3_000)


def decode_grey(picture: Image.Image) -> Image.Image:
    """Return the high bytes of 16-bit grey, and any other picture as RGBA."""
    if picture.mode == "I;16":
        return Image.frombytes("L", picture.size, picture.tobytes()[1::2]).convert("RGBA")
    return picture.convert("RGBA")


@pytest.mark.usefixtures("short_strips")
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "1", "P", "P;4", "P;2", "I;16"])
@pytest.mark.parametrize("reduction", [1, 3])
def test_strips_of_a_png_make_the_same_picture_as_the_whole(mode: str, reduction: int) -> None:
    data = encode_sample(mode)
    max_pixels = SIZE[0] * SIZE[1] // reduction**2 + 300

    small = open_picture(shrink_large(data, max_pixels=max_pixels).data)

    opaque = open_picture(data).mode not in ("RGBA", "LA")
    expected = decode_grey(open_picture(data)).convert("RGB" if opaque else "RGBA")
    expected = expected.reduce(reduction) if reduction > 1 else expected
    assert small.size == expected.size
    assert ImageChops.difference(small, expected).getbbox() is None


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"exif": make_exif(6)}])
def test_a_jpeg_is_made_smaller_upright(options: dict[str, Any]) -> None:
    data = encode_picture("JPEG", (800, 600), **options)

    small = shrink_large(data, max_pixels=130_000)

    assert small.facts == FileFacts("image/jpeg", *((300, 400) if "exif" in options else (400, 300)))
    assert SECRET not in small.data


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_picture_keeps_its_pixels_and_its_orientation_alone(kind: str, orientation: int) -> None:
    data = encode_picture(kind, exif=make_exif(orientation))

    cleaned = clean_large(data)

    kept = b"".join(cleaned.pieces)
    assert SECRET not in kept
    assert dict(open_picture(kept).getexif()) == ({0x0112: 6} if orientation == 6 else {})
    assert open_picture(kept).tobytes() == open_picture(data).tobytes()
    assert (cleaned.facts.width, cleaned.facts.height) == ((40, 60) if orientation == 6 else (60, 40))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_half_a_large_picture_is_damaged(kind: str) -> None:
    data = encode_picture(kind, (900, 700))

    with pytest.raises(BadFile, match="damaged or not complete"):
        clean_large(data[: len(data) // 2])


def test_a_png_of_too_few_rows_is_damaged() -> None:
    data = bytearray(make_png_bomb(1_000, 1_000))
    longer = make_png_bomb(1_000, 2_000)
    data[:33] = longer[:33]  # the header of a picture of twice as many rows

    with pytest.raises(BadFile, match="damaged or not complete"):
        clean_large(bytes(data))


def test_an_interlaced_or_a_webp_picture_gets_no_smaller_copy() -> None:
    with pytest.raises(FileTooLarge):
        shrink_large(encode_picture("WEBP"), max_pixels=100)


# Outputs of models.


def make_data_url(data: bytes) -> str:
    return f"data:application/octet-stream;base64,{base64.b64encode(data).decode()}"


@pytest.mark.parametrize("side", [6_001, 12_247])
async def test_a_large_output_is_kept_whole_with_a_preview(tmp_path: Path, side: int) -> None:
    media, data = Media(tmp_path), make_png_bomb(side, side)

    kept = await media.take_output(make_data_url(data))
    preview = await media.make_preview(kept.sha256)

    assert (kept.mime, kept.width, kept.height) == ("image/png", side, side)
    assert kept.path.read_bytes() == data
    assert preview is not None
    assert max(preview.facts.width, preview.facts.height) <= 2_000
    assert len(preview.data) <= 2 * 1024 * 1024


async def test_an_output_of_more_pixels_is_too_large(tmp_path: Path) -> None:
    with pytest.raises(OutputTooLarge, match="150 million pixels and 256 MB are the most"):
        await Media(tmp_path).take_output(make_data_url(make_png_bomb(12_300, 12_300)))


async def test_a_large_output_can_be_given_to_the_next_command(tmp_path: Path) -> None:
    media = Media(tmp_path)
    kept = await media.take_output(make_data_url(make_png_bomb(6_001, 6_001)))

    again = media.load_attachment(kept.sha256)
    assert again is not None
    given = await media.take_attachment(again, InputRule(max_pixels=2_000_000))

    assert given.width == given.height
    assert 1_900_000 < given.width * given.height <= 2_000_000


async def test_a_picture_of_ordinary_size_needs_no_preview(tmp_path: Path) -> None:
    media = Media(tmp_path)
    kept = await media.take_output(make_data_url(encode_picture("PNG")))

    assert await media.make_preview(kept.sha256) is None
    assert await media.make_preview("ab" * 32) is None


async def test_an_avif_is_told_by_its_bytes_and_kept(tmp_path: Path) -> None:
    data = encode_picture("AVIF")

    kept = await Media(tmp_path).take_output(make_data_url(data))

    assert (kept.mime, kept.path.suffix, kept.width, kept.height) == ("image/avif", ".avif", 60, 40)
    assert kept.path.read_bytes() == data


@pytest.mark.parametrize("kind", ["GIF", "WEBP"])
async def test_an_animation_of_a_model_keeps_its_frames(tmp_path: Path, kind: str) -> None:
    frames = [Image.new("RGB", (30, 30), color) for color in ("red", "green", "blue")]
    encoded = io.BytesIO()
    frames[0].save(encoded, kind, save_all=True, append_images=frames[1:], duration=50, loop=0, comment=SECRET)

    kept = await Media(tmp_path).take_output(make_data_url(encoded.getvalue()))

    with Image.open(kept.path) as picture:
        assert getattr(picture, "n_frames", 1) == 3
        assert picture.info["loop"] == 0
        colors = []
        for n in range(3):
            picture.seek(n)
            colors.append(picture.convert("RGB").getpixel((5, 5)))
    assert [max(range(3), key=lambda channel: color[channel]) for color in colors] == [0, 1, 2]  # type: ignore[index]  # three for RGB
    assert SECRET not in kept.path.read_bytes()


@pytest.mark.parametrize(
    "data", [b"", b"<svg xmlns='http://www.w3.org/2000/svg'/>", make_webp_header("VP8X", 9, 9)[:20]]
)
async def test_an_output_of_another_kind_is_told(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ModelFailed, match="You were not charged"):
        await Media(tmp_path).take_output(make_data_url(data))


@needs_proc
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", ["output: png of 150 megapixels", "output: jpeg of 150 megapixels", "nine at once"])
def test_large_outputs_cost_bounded_memory(name: str) -> None:
    measured = measure_in_process(name)

    assert measured.answers[0] == "kept, 12247 x 12247"
    assert measured.peak_megabytes < 950  # of the 1 GB of the container; 700 to 850 were seen


@pytest.mark.parametrize("mime", [mime for mime, known in FILE_TYPES.items() if known.kind is not MediaKind.PICTURE])
async def test_other_files_are_kept_as_they_are_and_told_by_their_bytes(tmp_path: Path, mime: str) -> None:
    media, known = Media(tmp_path), FILE_TYPES[mime]

    kept = await media.take_output(make_data_url(SAMPLES[mime]), OutputKind.FILES)

    assert (kept.mime, kept.path.suffix) == (mime, f".{known.extension}")
    assert kept.path.read_bytes() == SAMPLES[mime] or mime in ("audio/ogg", "audio/flac")  # the encoder's name goes
    assert [file.sha256 for file in await media.list_files()] == [kept.sha256]
    assert await media.remove(kept.sha256)
    wanted = OutputKind.AUDIO if known.kind is MediaKind.VIDEO else OutputKind.VIDEO
    with pytest.raises(ModelFailed, match="instead of"):
        await media.take_output(make_data_url(SAMPLES[mime]), wanted)
