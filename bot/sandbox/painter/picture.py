"""Encoded pictures from an order. Pillow is imported with the first picture, not with the server."""

import io
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from bot.sandbox.input_files import UnreadablePicture, open_picture

if TYPE_CHECKING:
    from PIL.Image import Image


__all__ = ["PictureOrder", "UnreadablePicture", "draw"]

SIGNATURE = "Sandbox painter (rules, not AI)"
_EXIF_DESCRIPTION, _EXIF_SOFTWARE = 0x010E, 0x0131
_NOTE_CHARACTERS = 2000


@dataclass(frozen=True)
class PictureOrder:
    """`size` is width and height in pixels; `extension` png, jpg or webp; `quality` 0 to 100 (not for png).

    `start` holds the bytes of a picture to begin from; `strength` 1 ignores the picture, 0 returns the picture.
    """

    prompt: str
    seed: int
    size: tuple[int, int]
    extension: str = "png"
    quality: int = 80
    start: bytes | None = None
    strength: float = 0.8


# A load test asks for one picture many times: the figure should not be the painter's.
@lru_cache(maxsize=4)
def draw(order: PictureOrder) -> bytes:
    """Return the encoded picture; equal orders give equal bytes. Raise UnreadablePicture for a bad `start`."""
    from bot.sandbox.painter.composition import paint
    from bot.sandbox.painter.scene import read_scene

    start = open_picture(order.start) if order.start else None
    picture = paint(read_scene(order.prompt, order.seed), order.size)
    if start:
        picture = begin_from(start, picture, order.strength)
    return encode_picture(picture, order)


def begin_from(start: "Image", painted: "Image", strength: float) -> "Image":
    """Blend the start with the painted scene's light and colours, by `strength`."""
    from PIL import Image, ImageOps

    fitted = ImageOps.fit(start.convert("RGB"), painted.size)
    # Half-way, the structure of the start should still show: the start's light stays longer than the colours.
    relit = Image.merge("YCbCr", (fitted.convert("L"), *painted.convert("YCbCr").split()[1:])).convert("RGB")
    tinted = Image.blend(fitted, relit, min(1.0, strength * 1.25))
    return Image.blend(tinted, painted, max(0.0, strength) ** 2)


def encode_picture(picture: "Image", order: PictureOrder) -> bytes:
    """Return the picture in the order's format, with a note of the painter, seed and prompt."""
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    note = f"{SIGNATURE} · seed {order.seed} · {order.prompt[:_NOTE_CHARACTERS]}"
    buffer = io.BytesIO()
    if order.extension == "png":
        info = PngInfo()
        info.add_itxt("Software", SIGNATURE)
        info.add_itxt("Comment", note)
        picture.save(buffer, "PNG", compress_level=2, pnginfo=info)
        return buffer.getvalue()
    exif = Image.Exif()
    exif[_EXIF_SOFTWARE] = SIGNATURE
    exif[_EXIF_DESCRIPTION] = note.encode("ascii", "replace").decode()
    if order.extension == "jpg":
        picture.save(buffer, "JPEG", quality=max(1, order.quality), exif=exif)
    else:
        picture.save(buffer, "WEBP", quality=order.quality, method=1, exif=exif)
    return buffer.getvalue()
