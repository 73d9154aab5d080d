"""Enlarging by classical means: Lanczos, then iterative back-projection.

Back-projection asks of the result that, made small again, it is the picture it came from, and adds what is missing
(Irani & Peleg 1991). It sharpens true edges and invents nothing.
"""

import io
from typing import TYPE_CHECKING

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


class TooManyPixels(Exception):
    """Its text is what real-esrgan says of a picture that does not fit its GPU."""


def enlarge(content: bytes, scale: float) -> bytes:
    """PNG bytes of the picture, `scale` times as wide and high (scale 0 to 10; each side at least one pixel)."""
    picture = open_picture(content)
    _check_pixels(picture.width * picture.height, scale)
    alpha = (
        picture.convert("RGBA").getchannel("A") if "transparency" in picture.info or picture.mode == "RGBA" else None
    )
    colour = picture.convert("RGB")
    size = (max(1, round(colour.width * scale)), max(1, round(colour.height * scale)))
    enlarged = _enlarged(colour, scale, size)
    if alpha:
        enlarged.putalpha(_resized(alpha, size))
    return _png(enlarged)


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


def _enlarged(small: "Image", scale: float, size: tuple[int, int]) -> "Image":
    """In bands of rows where the scale is whole, so that one large picture and little else is in memory."""
    from PIL import Image

    if scale <= 1:
        return _resized(small, size)
    if scale != int(scale):
        return _back_projected(small, size) if size[0] * size[1] <= _PIXELS_IN_ONE_PIECE else _resized(small, size)
    whole, enlarged = int(scale), Image.new(small.mode, size)
    for top in range(0, small.height, _BAND_ROWS):
        above, below = max(0, top - _MARGIN_ROWS), min(small.height, top + _BAND_ROWS + _MARGIN_ROWS)
        band = small.crop((0, above, small.width, below))
        band = _back_projected(band, (size[0], band.height * whole))
        kept = min(_BAND_ROWS, small.height - top) * whole
        enlarged.paste(band.crop((0, (top - above) * whole, size[0], (top - above) * whole + kept)), (0, top * whole))
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


def _png(picture: "Image") -> bytes:
    from PIL.PngImagePlugin import PngInfo

    note = PngInfo()
    note.add_text("Software", "Sandbox resampler (Lanczos and back-projection, not AI)")
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=3, pnginfo=note)
    return buffer.getvalue()
