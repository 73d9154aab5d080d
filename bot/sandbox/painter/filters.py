"""Classical filters in the place of models that process a picture: a background is cut out, a portrait cleaned."""

import io
from typing import TYPE_CHECKING

from bot.sandbox.input_files import open_picture

if TYPE_CHECKING:
    from PIL.Image import Image

# The distance from the border's colour, of 255, up to which a pixel is background, and from which on it is not.
_BACKGROUND_DISTANCE, _SUBJECT_DISTANCE = 24, 64
_RESTORE_SCALE = 2
_MAX_RESTORED_PIXELS = 4_000_000


def remove_background(content: bytes) -> bytes:
    """Return a PNG whose pixels near the border's colours are transparent. Raise `UnreadablePicture`."""
    from PIL import ImageChops, ImageFilter

    picture = open_picture(content).convert("RGB")
    background = _estimate_background(picture)
    difference = ImageChops.difference(picture, background).split()
    distance = ImageChops.lighter(ImageChops.lighter(difference[0], difference[1]), difference[2])
    span = _SUBJECT_DISTANCE - _BACKGROUND_DISTANCE
    alpha = distance.point([max(0, min(255, (value - _BACKGROUND_DISTANCE) * 255 // span)) for value in range(256)])
    picture.putalpha(alpha.filter(ImageFilter.MedianFilter(5)))
    return _encode_png(picture)


def _estimate_background(picture: "Image") -> "Image":
    """Return the colours of the left and right border, row by row, over the whole width: a sky keeps its gradient."""
    from PIL import Image, ImageFilter

    width, height = picture.size
    edge = max(1, width // 50)
    left = picture.crop((0, 0, edge, height)).resize((1, height), Image.Resampling.BOX)
    right = picture.crop((width - edge, 0, width, height)).resize((1, height), Image.Resampling.BOX)
    pair = Image.new("RGB", (2, height))
    pair.paste(left, (0, 0))
    pair.paste(right, (1, 0))
    return pair.filter(ImageFilter.BoxBlur(1)).resize((width, height), Image.Resampling.BILINEAR)


def restore(content: bytes, scale: int = _RESTORE_SCALE) -> bytes:
    """Return a PNG, enlarged by `scale`, with less noise and clearer edges. Raise `UnreadablePicture`."""
    from PIL import Image, ImageFilter, ImageOps

    picture = open_picture(content).convert("RGB")
    if picture.width * picture.height * scale**2 <= _MAX_RESTORED_PIXELS:
        picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.LANCZOS)
    cleaned = picture.filter(ImageFilter.MedianFilter(3))
    toned = Image.blend(cleaned, ImageOps.autocontrast(cleaned, cutoff=1), 0.5)
    return _encode_png(toned.filter(ImageFilter.UnsharpMask(radius=2, percent=120, threshold=2)))


def _encode_png(picture: "Image") -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=2)
    return buffer.getvalue()
