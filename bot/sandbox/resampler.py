"""Enlarging by classical means: Lanczos, then iterative back-projection.

Back-projection asks of the result that, made small again, it is the picture it came from, and adds what is missing
(Irani & Peleg 1991). It sharpens true edges and invents nothing.
"""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.sandbox.banded_png import encode_png
from bot.sandbox.picture_input import UnreadablePicture, open_picture

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["TooManyPixels", "UnreadablePicture", "enlarge"]

# The T4 of the real model takes about two megapixels.
MAX_INPUT_PIXELS = 2_096_704
MAX_OUTPUT_PIXELS = 17_000_000
_PIXELS_IN_ONE_PIECE = 4_200_000
_ROUNDS = 3
_BAND_ROWS, _MARGIN_ROWS = 64, 8  # a row is influenced by about three rows on each side, per round
_NOTES = {"Software": "Sandbox resampler (Lanczos and back-projection, not AI)"}


class TooManyPixels(Exception):
    """Its text is what real-esrgan says of a picture that does not fit its GPU."""


def enlarge(content: bytes, scale: float) -> bytes:
    """PNG bytes of the picture, `scale` times as wide and high (scale 0 to 10; each side at least one pixel)."""
    picture = open_picture(content)
    _check_pixels(picture.width * picture.height, scale)
    has_alpha = "transparency" in picture.info or picture.mode == "RGBA"
    picture = picture.convert("RGBA" if has_alpha else "RGB")
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return encode_png(_enlarged(picture, scale, size), size, _NOTES)


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


def _enlarged(small: "Image", scale: float, size: tuple[int, int]) -> Iterator["Image"]:
    """The enlarged picture in bands from top to bottom, so that it is never whole in memory."""
    if scale > 1 and scale == int(scale):
        return _bands_back_projected(small, int(scale))
    if scale > 1 and size[0] * size[1] <= _PIXELS_IN_ONE_PIECE:
        return iter([_in_colour(small, size)])
    return _bands_resized(small, size)


def _bands_back_projected(small: "Image", scale: int) -> Iterator["Image"]:
    width = small.width * scale
    for top in range(0, small.height, _BAND_ROWS):
        above, below = max(0, top - _MARGIN_ROWS), min(small.height, top + _BAND_ROWS + _MARGIN_ROWS)
        band = small.crop((0, above, small.width, below))
        band = _in_colour(band, (width, band.height * scale))
        first, rows = (top - above) * scale, min(_BAND_ROWS, small.height - top) * scale
        yield band.crop((0, first, width, first + rows))


def _bands_resized(small: "Image", size: tuple[int, int]) -> Iterator["Image"]:
    from PIL.Image import Resampling

    # Pillow looks beyond the box as far as its filter reaches, so the bands have no seams. They are cut out first:
    # of a picture that gets lower Pillow does the rows first, whose rounding differs.
    rows_per_row = small.height / size[1]
    margin = _MARGIN_ROWS * max(1, math.ceil(rows_per_row))
    for top in range(0, size[1], 4 * _BAND_ROWS):
        below = min(size[1], top + 4 * _BAND_ROWS)
        first, last = top * rows_per_row, below * rows_per_row
        above = max(0, int(first) - margin)
        band = small.crop((0, above, small.width, min(small.height, math.ceil(last) + margin)))
        box = (0, first - above, small.width, min(last - above, band.height))
        yield band.resize((size[0], below - top), Resampling.LANCZOS, box=box)


def _in_colour(small: "Image", size: tuple[int, int]) -> "Image":
    """Back-projected in its colours; transparency is only resized."""
    if small.mode == "RGB":
        return _back_projected(small, size)
    enlarged = _back_projected(small.convert("RGB"), size)
    enlarged.putalpha(_resized(small.getchannel("A"), size))
    return enlarged


def _back_projected(small: "Image", size: tuple[int, int]) -> "Image":
    from PIL import ImageChops

    guess = _resized(small, size)
    for _ in range(_ROUNDS):
        shrunk = _resized(guess, small.size)
        # Two unsigned halves of a signed difference: Pillow's channels stop at 0.
        missing, too_much = ImageChops.subtract(small, shrunk), ImageChops.subtract(shrunk, small)
        guess = ImageChops.add(guess, _resized(missing, size))
        guess = ImageChops.subtract(guess, _resized(too_much, size))
    return guess


def _resized(picture: "Image", size: tuple[int, int]) -> "Image":
    from PIL.Image import Resampling

    return picture.resize(size, Resampling.LANCZOS)
