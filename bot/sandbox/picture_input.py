"""A picture that somebody handed in, opened within limits: four formats, and pixels counted before decoding."""

import io
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_PIXELS = 25_000_000
_FORMATS = ("PNG", "JPEG", "WEBP", "GIF")


class UnreadablePicture(Exception):
    """Its text is what a model says of a file that is no picture it can take."""


def open_picture(content: bytes, max_pixels: int = MAX_PIXELS) -> "Image":
    """The picture, loaded; its `format` and `info` are kept. Raises UnreadablePicture."""
    from PIL import Image

    try:
        picture = Image.open(io.BytesIO(content), formats=_FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UnreadablePicture("The image has more pixels than fit in memory") from error
    except (OSError, ValueError) as error:
        raise UnreadablePicture("cannot identify image file: not a PNG, JPEG, WebP or GIF picture") from error
    if picture.width * picture.height > max_pixels:
        raise UnreadablePicture(
            f"The image has {picture.width}x{picture.height} pixels, which is more than fit in memory"
        )
    try:
        picture.load()
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise UnreadablePicture("image file is truncated or broken") from error
    return picture
