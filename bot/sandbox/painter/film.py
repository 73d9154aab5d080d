"""Short films from the painter: a slow camera over one scene, from a given picture, or from one picture to another."""

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from bot.sandbox.input_files import open_picture
from bot.sandbox.painter.webm import encode_frame, mux_webm

if TYPE_CHECKING:
    from PIL.Image import Image

FRAMES_PER_SECOND = 8
MAX_FILM_SECONDS = 20

_MAX_FRAME_PIXELS = 640 * 360
_MARGIN = 1.3
"""The scene is larger than a frame by this factor: room for the camera."""
_ZOOM = 0.12


@dataclass(frozen=True)
class FilmOrder:
    """`ratio` is width through height. `first` and `last` hold the bytes of pictures, or None."""

    prompt: str
    seed: int
    seconds: float
    ratio: float = 16 / 9
    first: bytes | None = None
    last: bytes | None = None


def shoot(order: FilmOrder) -> bytes:
    """Return a WebM film without sound; equal orders give equal bytes. Raise `UnreadablePicture`."""
    from PIL import Image

    size = _choose_size(order)
    begin = _open_scene(order, order.first, size)
    end = _open_scene(order, order.last, size) if order.last else None
    count = max(2, round(min(order.seconds, MAX_FILM_SECONDS) * FRAMES_PER_SECOND))
    frames = []
    for n in range(count):
        share = n / (count - 1)
        frame = _look(begin, size, share, order.seed)
        if end is not None:
            frame = Image.blend(frame, _look(end, size, 1 - share, order.seed), share)
        frames.append(encode_frame(frame))
    return mux_webm(frames, size, FRAMES_PER_SECOND)


def take_still(order: FilmOrder) -> bytes:
    """Return the first frame of a film, as PNG. Raise `UnreadablePicture`."""
    size, encoded = _choose_size(order), BytesIO()
    _look(_open_scene(order, order.first, size), size, 0, order.seed).save(encoded, "PNG")
    return encoded.getvalue()


def _choose_size(order: FilmOrder) -> tuple[int, int]:
    """Return width and height, even and small: a frame takes milliseconds."""
    ratio = order.ratio
    if order.first:
        picture = open_picture(order.first)
        ratio = min(3.0, max(1 / 3, picture.width / picture.height))
    height = (_MAX_FRAME_PIXELS / ratio) ** 0.5
    return round(height * ratio / 2) * 2, round(height / 2) * 2


def _open_scene(order: FilmOrder, picture: bytes | None, size: tuple[int, int]) -> "Image":
    from PIL import ImageOps

    from bot.sandbox.painter.composition import paint
    from bot.sandbox.painter.scene import read_scene

    large = (round(size[0] * _MARGIN), round(size[1] * _MARGIN))
    if picture is not None:
        return ImageOps.fit(open_picture(picture).convert("RGB"), large)
    return paint(read_scene(order.prompt, order.seed), large)


def _look(scene: "Image", size: tuple[int, int], share: float, seed: int) -> "Image":
    """Return the frame at a share of the way: the camera comes nearer and moves to one side, as the seed has it."""
    from PIL.Image import Resampling

    smooth = share * share * (3 - 2 * share)
    near = 1 - _ZOOM * smooth
    width, height = scene.width * near, scene.height * near
    across = smooth if seed % 2 else 1 - smooth
    left, top = (scene.width - width) * across, (scene.height - height) * 0.5
    return scene.resize(size, Resampling.BILINEAR, box=(left, top, left + width, top + height))
