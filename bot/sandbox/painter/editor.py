"""Edits of a picture: by words (colours, light, seasons, crops, blurs, blends of several pictures), and by filters.

Each rule knows a few words. Words without a rule draw a scene by the painter, and the scene tints the picture.
Classical filters stand in the place of models that process a picture: a background is cut out, a portrait cleaned.
"""

import io
import random
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.sandbox.input_files import UnreadablePicture, open_picture
from bot.sandbox.painter.picture import PictureOrder, begin_from, encode_picture

if TYPE_CHECKING:
    from PIL.Image import Image


_FLAKES_PER_MEGAPIXEL = 1_500
_UNRULED_STRENGTH = 0.45
_LINE_STRENGTH = 40
_WIDE_RATIO = 16 / 9


class MaskMismatch(UnreadablePicture):
    """A mask of another size than the picture."""


@dataclass(frozen=True)
class EditOrder:
    """`pictures` are the main picture and the references; white parts of `mask` change; `ratio` is width by height."""

    prompt: str
    seed: int
    pictures: tuple[bytes, ...]
    mask: bytes | None = None
    ratio: float | None = None
    extension: str = "png"
    quality: int = 90


def edit(order: EditOrder) -> bytes:
    """Return the edited picture, encoded. Raise `UnreadablePicture` for a bad picture or mask."""
    from PIL import Image, ImageOps

    base, *references = (open_picture(content).convert("RGB") for content in order.pictures)
    edited = _blend_references(base, references)
    rules = find_rules(order.prompt)
    for change in rules:
        edited = change(edited, random.Random(order.seed))  # noqa: S311 - a picture, no secret
    if not rules and not references:
        edited = _tint_by_scene(edited, order)
    if order.mask is not None:
        mask = open_picture(order.mask).convert("L")
        if mask.size != base.size:
            raise MaskMismatch(
                f"mask and image must have the same size, not {mask.width}x{mask.height} and {base.width}x{base.height}"
            )
        edited = Image.composite(ImageOps.fit(edited, base.size), base, mask)
    if order.ratio is not None:
        edited = ImageOps.fit(edited, _fit_ratio(edited.size, order.ratio))
    return encode_picture(edited, PictureOrder(order.prompt, order.seed, edited.size, order.extension, order.quality))


OUTPAINTS = {
    "Zoom out 1.5x": (0.25, 0.25, 0.25, 0.25),
    "Zoom out 2x": (0.5, 0.5, 0.5, 0.5),
    "Left outpaint": (0.5, 0.0, 0.0, 0.0),
    "Right outpaint": (0.0, 0.0, 0.5, 0.0),
    "Top outpaint": (0.0, 0.5, 0.0, 0.0),
    "Bottom outpaint": (0.0, 0.0, 0.0, 0.5),
}
"""How much a picture grows left, above, right and below, as shares of its sides. `Make square` grows a side."""


def extend(order: EditOrder, outpaint: str) -> bytes:
    """Return the picture on a larger canvas: the picture stays, and words change the blurred surroundings alone."""
    from PIL import ImageFilter, ImageOps

    base = open_picture(order.pictures[0]).convert("RGB")
    left, top, right, bottom = _measure_growth(base.size, outpaint)
    size = base.width + left + right, base.height + top + bottom
    canvas = ImageOps.fit(base, size).filter(ImageFilter.GaussianBlur(max(2.0, min(size) / 40)))
    rules = find_rules(order.prompt)
    for change in rules:
        canvas = ImageOps.fit(change(canvas, random.Random(order.seed)), size)  # noqa: S311 - a picture, no secret
    if not rules:
        canvas = _tint_by_scene(canvas, order)
    canvas.paste(base, (left, top))
    return encode_picture(canvas, PictureOrder(order.prompt, order.seed, size, order.extension, order.quality))


def _measure_growth(size: tuple[int, int], outpaint: str) -> tuple[int, int, int, int]:
    """Return the pixels to add left, above, right and below."""
    width, height = size
    if outpaint in OUTPAINTS:
        left, top, right, bottom = OUTPAINTS[outpaint]
        return round(width * left), round(height * top), round(width * right), round(height * bottom)
    longer = max(size)
    left, top = (longer - width) // 2, (longer - height) // 2
    return left, top, longer - width - left, longer - height - top


def find_rules(words: str) -> list["Change"]:
    """Return the changes that the words name, in the order of the rules."""
    text = words.lower()
    return [change for pattern, change in _RULES if re.search(rf"\b(?:{pattern})\b", text)]


def _blend_references(base: "Image", references: list["Image"]) -> "Image":
    """Blend the references into the main picture, each with an equal share."""
    from PIL import Image, ImageOps

    blended = base
    for n, reference in enumerate(references, 1):
        blended = Image.blend(blended, ImageOps.fit(reference, base.size), 1 / (n + 1))
    return blended


def _tint_by_scene(picture: "Image", order: EditOrder) -> "Image":
    from bot.sandbox.painter.composition import paint
    from bot.sandbox.painter.scene import read_scene

    painted = paint(read_scene(order.prompt, order.seed), picture.size)
    return begin_from(picture, painted, _UNRULED_STRENGTH)


def resize(content: bytes, size: tuple[int, int]) -> bytes:
    """Return a picture or mask in another size, as a PNG. Raise `UnreadablePicture`."""
    picture = open_picture(content).convert("RGB").resize(size)
    return encode_picture(picture, PictureOrder("", 0, size, "png"))


def find_lines(content: bytes, side: int) -> bytes:
    """Return the lines of a picture in white on black, as a PNG whose shorter side has `side` pixels."""
    from PIL import ImageFilter, ImageOps

    picture = open_picture(content).convert("L")
    scale = side / min(picture.size)
    size = tuple(max(64, round(length * scale / 64) * 64) for length in picture.size)
    # The frame of the filtered picture is an artefact, not a line.
    edges = picture.resize((size[0], size[1])).filter(ImageFilter.SMOOTH).filter(ImageFilter.FIND_EDGES)
    lines = ImageOps.expand(ImageOps.crop(edges, 2), 2).point([255 * (value > _LINE_STRENGTH) for value in range(256)])
    return encode_picture(lines.convert("RGB"), PictureOrder("", 0, lines.size, "png"))


def draw_over_lines(lines: bytes, prompt: str, seed: int) -> bytes:
    """Return the scene of a prompt with the lines drawn in black, as a PNG."""
    from PIL import Image

    from bot.sandbox.painter.composition import paint
    from bot.sandbox.painter.scene import read_scene

    mask = open_picture(lines).convert("L")
    drawn = paint(read_scene(prompt, seed), mask.size)
    drawn.paste(Image.new("RGB", mask.size, "black"), mask=mask)
    return encode_picture(drawn, PictureOrder(prompt, seed, mask.size, "png"))


def _fit_ratio(size: tuple[int, int], ratio: float) -> tuple[int, int]:
    """Return the largest size of a ratio within `size`."""
    width, height = size
    return (width, max(1, round(width / ratio))) if width / height < ratio else (max(1, round(height * ratio)), height)


Change = Callable[["Image", random.Random], "Image"]


def _tint(colour: str, strength: float = 0.7) -> Change:
    """Return a change to a colour that keeps the light of the picture."""

    def change(picture: "Image", rng: random.Random) -> "Image":
        from PIL import Image, ImageOps

        toned = ImageOps.colorize(picture.convert("L"), black="black", mid=colour, white="white")
        return Image.blend(picture, toned, strength)

    return change


def _enhance(kind: str, factor: float) -> Change:
    """Return a change by one of Pillow's enhancers: Brightness, Color, Contrast or Sharpness."""

    def change(picture: "Image", rng: random.Random) -> "Image":
        from PIL import ImageEnhance

        enhanced: Image = getattr(ImageEnhance, kind)(picture).enhance(factor)
        return enhanced

    return change


def _chain(*changes: Change) -> Change:
    def change(picture: "Image", rng: random.Random) -> "Image":
        for one in changes:
            picture = one(picture, rng)
        return picture

    return change


def _snow(picture: "Image", rng: random.Random) -> "Image":
    from PIL import ImageDraw

    snowy = picture.copy()
    brush = ImageDraw.Draw(snowy)
    width, height = picture.size
    unit = max(1.0, min(width, height) / 400)
    for _ in range(max(40, width * height * _FLAKES_PER_MEGAPIXEL // 1_000_000)):
        x, y, radius = rng.randrange(width), rng.randrange(height), unit * rng.uniform(0.5, 2)
        brush.ellipse((x - radius, y - radius, x + radius, y + radius), fill="white")
    return snowy


def _blur(picture: "Image", rng: random.Random) -> "Image":
    from PIL import ImageFilter

    return picture.filter(ImageFilter.GaussianBlur(max(2.0, min(picture.size) / 60)))


def _mirror(picture: "Image", rng: random.Random) -> "Image":
    from PIL import ImageOps

    return ImageOps.mirror(picture)


def _turn_over(picture: "Image", rng: random.Random) -> "Image":
    return picture.rotate(180)


def _invert(picture: "Image", rng: random.Random) -> "Image":
    from PIL import ImageOps

    return ImageOps.invert(picture)


def _zoom(picture: "Image", rng: random.Random) -> "Image":
    width, height = picture.size
    box = (width // 5, height // 5, width - width // 5, height - height // 5)
    return picture.crop(box).resize(picture.size)


def _pixelate(picture: "Image", rng: random.Random) -> "Image":
    from PIL.Image import Resampling

    side = max(1, min(picture.size) // 48)
    small = picture.resize((max(1, picture.width // side), max(1, picture.height // side)), Resampling.BOX)
    return small.resize(picture.size, Resampling.NEAREST)


def _crop_to(ratio: float) -> Change:
    def change(picture: "Image", rng: random.Random) -> "Image":
        from PIL import ImageOps

        return ImageOps.fit(picture, _fit_ratio(picture.size, ratio))

    return change


_COLOURS = {
    "red": "#c0281f",
    "orange": "#d97a1e",
    "yellow|gold|golden": "#d9b51e",
    "green": "#2f8f3a",
    "blue": "#2a5fb8",
    "purple|violet": "#7a3fb0",
    "pink": "#d66a9c",
    "brown": "#7a5230",
}

_RULES: tuple[tuple[str, Change], ...] = (
    ("square", _crop_to(1.0)),
    ("wide|wider|landscape format", _crop_to(_WIDE_RATIO)),
    ("zoom(?: in)?|crop|closer|close-up", _zoom),
    ("mirror|mirrored|flip|flipped", _mirror),
    ("upside down", _turn_over),
    *((words, _tint(colour)) for words, colour in _COLOURS.items()),
    ("winter|snow|snowy|frozen", _chain(_enhance("Color", 0.5), _tint("#9db8d6", 0.35), _snow)),
    ("autumn|fall", _chain(_tint("#c9772b", 0.4), _enhance("Color", 1.2))),
    ("spring", _chain(_tint("#7fb069", 0.25), _enhance("Color", 1.3))),
    ("summer", _chain(_tint("#e3c26b", 0.25), _enhance("Brightness", 1.1), _enhance("Color", 1.3))),
    ("sepia|vintage|old", _chain(_enhance("Color", 0.0), _tint("#9c7a4d", 0.8))),
    ("black and white|gr[ae]y|gr[ae]yscale|monochrome", _enhance("Color", 0.0)),
    ("vivid|colou?rful|saturated", _enhance("Color", 1.8)),
    ("pale|faded|pastel", _chain(_enhance("Color", 0.5), _enhance("Brightness", 1.15))),
    ("night|midnight", _chain(_enhance("Brightness", 0.45), _tint("#24406e", 0.4))),
    ("bright|brighter|lighter|sunny", _enhance("Brightness", 1.35)),
    ("dark|darker|gloomy", _enhance("Brightness", 0.65)),
    ("contrast", _enhance("Contrast", 1.5)),
    ("sharp|sharper|crisp", _enhance("Sharpness", 3.0)),
    ("blur|blurred|blurry|soft|softer|dreamy", _blur),
    ("pixel(?:s|ated| art)?", _pixelate),
    ("invert|inverted|negative", _invert),
)


# Filters.

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
