"""nightmareai/real-esrgan, performed by classical resampling: real enlarging without invented detail.

Lanczos, then iterative back-projection (Irani & Peleg 1991): the result, made small again, must equal the source, and
the missing difference is added. Back-projection sharpens true edges. The PNG is written band by band, so a large
picture is never whole in memory."""

import io
import math
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from bot.sandbox.faults import SandboxModelFailed
from bot.sandbox.input_files import UnreadablePicture, open_picture
from bot.sandbox.model import InputField, SandboxModel, SandboxOutputKind, SandboxRun

if TYPE_CHECKING:
    from PIL.Image import Image


_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOUR_TYPES = {"RGB": 2, "RGBA": 6}
_LEVEL = 3


def encode_png(bands: Iterable["Image"], size: tuple[int, int], notes: Mapping[str, str]) -> bytes:
    """Return the PNG of a picture of `size` (width, height) made of `bands` (RGB or RGBA) from top to bottom."""
    buffer, pixels = io.BytesIO(), zlib.compressobj(_LEVEL)
    above: Image | None = None
    for band in bands:
        if above is None:
            _write_header(buffer, band.mode, size, notes)
        _write_chunk(buffer, b"IDAT", pixels.compress(_filter_scanlines(band, above)))
        above = band.crop((0, band.height - 1, band.width, band.height))
    _write_chunk(buffer, b"IDAT", pixels.flush())
    _write_chunk(buffer, b"IEND", b"")
    return buffer.getvalue()


def _write_header(buffer: io.BytesIO, mode: str, size: tuple[int, int], notes: Mapping[str, str]) -> None:
    buffer.write(_SIGNATURE)
    _write_chunk(buffer, b"IHDR", struct.pack(">IIBBBBB", *size, 8, _COLOUR_TYPES[mode], 0, 0, 0))
    for keyword, text in notes.items():
        _write_chunk(buffer, b"tEXt", keyword.encode("latin-1") + b"\0" + text.encode("latin-1"))


def _filter_scanlines(band: "Image", above: "Image | None") -> bytes:
    """Return the filtered rows of `band`. Pillow's filters read the row above, so the row above goes along."""
    from PIL import Image

    first_row = 1 if above else 0
    piece = Image.new(band.mode, (band.width, band.height + first_row))
    if above:
        piece.paste(above, (0, 0))
    piece.paste(band, (0, first_row))
    encoded = io.BytesIO()
    piece.save(encoded, "PNG", compress_level=0)
    rows = zlib.decompress(_extract_pixel_data(encoded.getbuffer()))
    return rows[first_row * (1 + band.width * len(band.getbands())) :]


def _extract_pixel_data(png: memoryview) -> bytes:
    """Return the content of all IDAT chunks."""
    position, found = len(_SIGNATURE), list[memoryview]()
    while position < len(png):
        (size,) = struct.unpack_from(">I", png, position)
        if bytes(png[position + 4 : position + 8]) == b"IDAT":
            found.append(png[position + 8 : position + 8 + size])
        position += size + 12
    return b"".join(found)


def _write_chunk(buffer: io.BytesIO, kind: bytes, content: bytes) -> None:
    if content or kind == b"IEND":
        checksum = zlib.crc32(kind + content)
        buffer.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum))


__all__ = ["TooManyPixels", "UnreadablePicture", "enlarge"]

# The real model's T4 holds about two megapixels.
MAX_INPUT_PIXELS = 2_096_704
MAX_OUTPUT_PIXELS = 150_000_000
_BACK_PROJECTED_PIXELS = 17_000_000
"""Larger pictures are resampled alone: back-projection would take a minute."""
_PIXELS_IN_ONE_PIECE = 4_200_000
_ROUNDS = 3
_BAND_ROWS, _MARGIN_ROWS = 64, 8  # a row is influenced by about three rows on each side, per round
_NOTES = {"Software": "Sandbox resampler (Lanczos and back-projection, not AI)"}


class TooManyPixels(Exception):
    """A picture too large for the GPU, with real-esrgan's error text."""


def enlarge(content: bytes, scale: float) -> bytes:
    """Return PNG bytes of the picture, `scale` times as wide and high (scale 0 to 10; sides of one pixel or more)."""
    picture = open_picture(content)
    _check_pixels(picture.width * picture.height, scale)
    has_alpha = "transparency" in picture.info or picture.mode == "RGBA"
    picture = picture.convert("RGBA" if has_alpha else "RGB")
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return encode_png(_enlarge(picture, scale, size), size, _NOTES)


def _check_pixels(pixels: int, scale: float) -> None:
    if pixels > MAX_INPUT_PIXELS:
        raise TooManyPixels(
            f"Input image of dimensions with a total number of pixels {pixels} greater than the max size that fits in "
            f"GPU memory on this hardware, {MAX_INPUT_PIXELS}. Resize input image and try again."
        )
    if pixels * scale * scale > MAX_OUTPUT_PIXELS:
        raise TooManyPixels(
            f"CUDA out of memory. The output would have {round(pixels * scale * scale)} pixels; the sandbox stops at "
            f"{MAX_OUTPUT_PIXELS}. Use a smaller scale."
        )


def _enlarge(small: "Image", scale: float, size: tuple[int, int]) -> Iterator["Image"]:
    """Yield the enlarged picture in bands from top to bottom."""
    if scale > 1 and scale == int(scale) and size[0] * size[1] <= _BACK_PROJECTED_PIXELS:
        return _back_project_bands(small, int(scale))
    if scale > 1 and size[0] * size[1] <= _PIXELS_IN_ONE_PIECE:
        return iter([_enlarge_with_alpha(small, size)])
    return _resize_bands(small, size)


def _back_project_bands(small: "Image", scale: int) -> Iterator["Image"]:
    width = small.width * scale
    for top in range(0, small.height, _BAND_ROWS):
        above, below = max(0, top - _MARGIN_ROWS), min(small.height, top + _BAND_ROWS + _MARGIN_ROWS)
        band = small.crop((0, above, small.width, below))
        band = _enlarge_with_alpha(band, (width, band.height * scale))
        first, rows = (top - above) * scale, min(_BAND_ROWS, small.height - top) * scale
        yield band.crop((0, first, width, first + rows))


def _resize_bands(small: "Image", size: tuple[int, int]) -> Iterator["Image"]:
    from PIL.Image import Resampling

    # Pillow reads beyond the box as far as the filter reaches, so bands have no seams. The bands are cut out first:
    # for a picture that gets lower, Pillow resizes rows first, with a different rounding.
    rows_per_row = small.height / size[1]
    margin = _MARGIN_ROWS * max(1, math.ceil(rows_per_row))
    for top in range(0, size[1], 4 * _BAND_ROWS):
        below = min(size[1], top + 4 * _BAND_ROWS)
        first, last = top * rows_per_row, below * rows_per_row
        above = max(0, int(first) - margin)
        band = small.crop((0, above, small.width, min(small.height, math.ceil(last) + margin)))
        box = (0, first - above, small.width, min(last - above, band.height))
        yield band.resize((size[0], below - top), Resampling.LANCZOS, box=box)


def _enlarge_with_alpha(small: "Image", size: tuple[int, int]) -> "Image":
    """Back-project the colours; resize transparency only."""
    if small.mode == "RGB":
        return _back_project(small, size)
    enlarged = _back_project(small.convert("RGB"), size)
    enlarged.putalpha(_resize(small.getchannel("A"), size))
    return enlarged


def _back_project(small: "Image", size: tuple[int, int]) -> "Image":
    from PIL import ImageChops

    guess = _resize(small, size)
    for _ in range(_ROUNDS):
        shrunk = _resize(guess, small.size)
        # Two unsigned halves of a signed difference: Pillow's channels stop at 0.
        missing, too_much = ImageChops.subtract(small, shrunk), ImageChops.subtract(shrunk, small)
        guess = ImageChops.add(guess, _resize(missing, size))
        guess = ImageChops.subtract(guess, _resize(too_much, size))
    return guess


def _resize(picture: "Image", size: tuple[int, int]) -> "Image":
    from PIL.Image import Resampling

    return picture.resize(size, Resampling.LANCZOS)


async def _upscale(run: SandboxRun) -> None:
    picture = await run.read_file("image")
    if picture is None:
        raise SandboxModelFailed("Input validation error: image is required")
    scale = float(run.input.get("scale", 4))
    run.log("Sandbox resampler: Lanczos and back-projection, not an AI model; it adds no detail.")
    if run.input.get("face_enhance"):
        run.log("face_enhance needs the real model and is ignored here.")
    try:
        enlarged = await run.run_in_worker(enlarge, picture, scale)
    except (TooManyPixels, UnreadablePicture) as error:
        raise SandboxModelFailed(str(error)) from error
    await run.run_steps(4, 1.2)
    run.add_file(enlarged, "png")
    run.set_metric("image_count", 1)
    run.set_metric("image_output_count", 1)


REAL_ESRGAN = SandboxModel(
    owner="nightmareai",
    name="real-esrgan",
    version="f121d640bd286e1fdc67f9799164c1d5be36ff74576ee11c803ae5b665dd46aa",
    description="Sandbox: classical resampling (Lanczos, back-projection), in the place of Real-ESRGAN.",
    fields=(
        InputField("image", "file", "Input image", required=True),
        InputField("scale", "number", "Factor to scale image by", default=4, minimum=0, maximum=10),
        InputField("face_enhance", "boolean", "Run GFPGAN face enhancement along with upscaling", default=False),
    ),
    output=SandboxOutputKind.FILE,
    perform=_upscale,
)
