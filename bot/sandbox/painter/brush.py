"""The painter's tools: gradients, noise, glows and masks."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from PIL import Image, ImageChops, ImageDraw, ImageOps

from bot.sandbox.painter.scene import Colour, Palette, mix

Point = tuple[float, float]
_STRIP = 256


@dataclass
class Canvas:
    """The picture during painting. `horizon` is a row; `light` is the place of sun or moon, in pixels."""

    picture: Image.Image
    rng: random.Random
    palette: Palette
    horizon: int
    light: tuple[int, int]

    @property
    def width(self) -> int:
        return self.picture.width

    @property
    def height(self) -> int:
        return self.picture.height

    @property
    def unit(self) -> float:
        """One thousandth of the picture's shorter side: shapes keep their share at any size."""
        return min(self.picture.size) / 1000

    def fill(self, mask: Image.Image, paint: Image.Image | Colour, top: int = 0) -> None:
        """Paint a colour, or a picture of the mask's size, through the mask; the mask's first row lies at `top`."""
        if isinstance(paint, Image.Image):
            self.picture.paste(paint, (0, top), mask)
        else:
            self.picture.paste(paint, (0, top, mask.width, top + mask.height), mask)


def draw_gradient(size: tuple[int, int], colours: Sequence[Colour]) -> Image.Image:
    """Colours from top to bottom, evenly spaced."""
    strip = Image.new("RGB", (1, _STRIP))
    steps = len(colours) - 1
    for row in range(_STRIP):
        at = row / (_STRIP - 1) * steps
        first = min(int(at), steps - 1)
        strip.putpixel((0, row), mix(colours[first], colours[first + 1], at - first))
    return _repeat_across(strip.resize((1, size[1]), Image.Resampling.BILINEAR), size)


def draw_ramp(size: tuple[int, int], top: float, bottom: float) -> Image.Image:
    """A mask that goes evenly from `top` to `bottom` (0 to 1)."""
    strip = Image.linear_gradient("L").crop((0, 0, 1, _STRIP)).resize((1, size[1]), Image.Resampling.BILINEAR)
    strip = strip.point([round(255 * min(1.0, max(0.0, top + (bottom - top) * level / 255))) for level in range(256)])
    return _repeat_across(strip, size)


def _repeat_across(column: Image.Image, size: tuple[int, int]) -> Image.Image:
    # Stretching both ways at once would average equal pixels of each row, in ten times the time.
    return column.resize(size, Image.Resampling.NEAREST)


def draw_noise(rng: random.Random, size: tuple[int, int], cells: tuple[int, int]) -> Image.Image:
    """Smooth random light and dark with about `cells` spots across and down."""
    across, down = max(2, cells[0]), max(2, cells[1])
    spots = Image.frombytes("L", (across, down), rng.randbytes(across * down))
    return spots.resize(size, Image.Resampling.BICUBIC)


def draw_cloud_noise(
    rng: random.Random, size: tuple[int, int], cells: tuple[int, int], octaves: int = 5
) -> Image.Image:
    """Add noise layers, each finer and fainter, stretched to the whole range."""
    # Mixed at half the size: the noise is too soft to show a difference, in a quarter of the time.
    half = (max(4, size[0] // 2), max(4, size[1] // 2))
    result = draw_noise(rng, half, cells)
    for octave in range(1, octaves):
        finer = draw_noise(rng, half, (cells[0] << octave, cells[1] << octave))
        result = Image.blend(result, finer, 0.44 / (1.32**octave))
    return ImageOps.autocontrast(result, cutoff=1).resize(size, Image.Resampling.BILINEAR)


def shift_image(image: Image.Image, across: int, down: int) -> Image.Image:
    """Shift the image over itself; the uncovered edge keeps the old pixels."""
    moved = image.copy()
    moved.paste(image, (across, down))
    return moved


def foreshorten(deck: Image.Image, bend: float) -> Image.Image:
    """A level pattern seen in perspective: rows crowd towards the lower edge, the more so as `bend` nears 1."""
    width, height = deck.size
    # At the lower edge the whole deck is seen, at the upper edge its middle.
    scale, fall = 1 - bend, -bend / height
    coefficients = (scale, width * fall / 2, width * bend / 2, 0, scale, 0, 0, fall)
    return deck.transform(deck.size, Image.Transform.PERSPECTIVE, coefficients, Image.Resampling.BILINEAR)


def apply_threshold(image: Image.Image, threshold: int, softness: int) -> Image.Image:
    """Return a mask of the pixels above `threshold`, over `softness` levels."""
    return image.point([max(0, min(255, (level - threshold) * 255 // max(1, softness))) for level in range(256)])


def fade_mask(mask: Image.Image, share: float) -> Image.Image:
    return mask.point([round(level * share) for level in range(256)])


def draw_shape(size: tuple[int, int], outline: Sequence[Point]) -> Image.Image:
    """A smooth-edged mask of one polygon."""
    return draw_shapes(size, [outline])


def draw_shapes(size: tuple[int, int], outlines: Sequence[Sequence[Point]]) -> Image.Image:
    """A smooth-edged mask of many polygons: drawn twice as large, then halved."""
    large = Image.new("L", (size[0] * 2, size[1] * 2))
    pen = ImageDraw.Draw(large)
    for outline in outlines:
        pen.polygon([(x * 2, y * 2) for x, y in outline], fill=255)
    return large.reduce(2)


def paint_glow(
    canvas: Canvas, centre: Point, radius: float, colour: Colour, strength: float, power: float = 2.0
) -> None:
    """Light around a point, fading out at `radius`; `power` says how steeply."""
    reach = max(2, int(radius))
    left, top = int(centre[0]) - reach, int(centre[1]) - reach
    box = (max(0, left), max(0, top), min(canvas.width, left + 2 * reach), min(canvas.height, top + 2 * reach))
    if box[0] >= box[2] or box[1] >= box[3]:
        return
    curve = [min(255.0, 255 * strength * (1 - level / 255) ** power) for level in range(256)]
    whole = Image.radial_gradient("L").resize((2 * reach, 2 * reach), Image.Resampling.BILINEAR)
    mask = whole.crop((box[0] - left, box[1] - top, box[2] - left, box[3] - top)).point([round(v) for v in curve])
    light = Image.merge("RGB", [fade_mask(mask, channel / 255) for channel in colour])
    patch = canvas.picture.crop(box)
    canvas.picture.paste(ImageChops.screen(patch, light), box[:2])


def make_ridge(rng: random.Random, points: int, roughness: float) -> list[float]:
    """Heights from 0 to 1 along a skyline, by midpoint displacement; `roughness` 0.4 is soft, 0.6 is jagged."""
    heights = [rng.random(), rng.random()]
    spread = 0.5
    while len(heights) < points:
        finer = []
        for left, right in pairwise(heights):
            finer += [left, (left + right) / 2 + rng.uniform(-spread, spread)]
        heights = [*finer, heights[-1]]
        spread *= roughness
    low, high = min(heights), max(heights)
    return [(height - low) / (high - low or 1) for height in heights]


def make_skyline(heights: Sequence[float], width: int, base: float, rise: float, floor: float) -> list[Point]:
    """The outline of a ridge: `base` is the row of height 0, `base - rise` of height 1; closed at row `floor`."""
    step = width / (len(heights) - 1)
    line: list[Point] = [(index * step, base - height * rise) for index, height in enumerate(heights)]
    return [*line, (width, floor), (0, floor)]


def dim_colour(canvas: Canvas, colour: Colour) -> Colour:
    """Return a surface colour in this hour's light."""
    dark = 0.72 if canvas.palette.is_dark else 0.12
    return mix(mix(colour, canvas.palette.haze, 0.14), canvas.palette.land, dark)


def fill_shape(canvas: Canvas, outline: list[Point], colour: Colour) -> None:
    """Fill one small outline, on the affected part of the picture only."""
    left, top = max(0, int(min(x for x, _ in outline)) - 1), max(0, int(min(y for _, y in outline)) - 1)
    right, low = int(max(x for x, _ in outline)) + 2, int(max(y for _, y in outline)) + 2
    if right <= left or low <= top:
        return
    mask = draw_shape((right - left, low - top), [(x - left, y - top) for x, y in outline])
    canvas.picture.paste(colour, (left, top, right, low), mask)


def make_box(x: float, foot: float, wide: float, tall: float) -> list[Point]:
    return [(x - wide / 2, foot), (x - wide / 2, foot - tall), (x + wide / 2, foot - tall), (x + wide / 2, foot)]


def paint_shade(canvas: Canvas, outline: list[Point]) -> None:
    """Darken the side of a round body away from the light."""
    left, right = int(min(x for x, _ in outline)), int(max(x for x, _ in outline)) + 1
    top, low = int(min(y for _, y in outline)), int(max(y for _, y in outline)) + 1
    size = (right - left, low - top)
    fall = draw_ramp((2, size[0]), 0.0, 1.0).rotate(90, expand=True).resize(size)
    if canvas.light[0] > (left + right) / 2:
        fall = fall.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    body = draw_shape(size, [(x - left, y - top) for x, y in outline])
    shadow = fade_mask(ImageChops.multiply(body, fall), 0.55)
    canvas.picture.paste(canvas.palette.land, (left, top, right, low), shadow)
