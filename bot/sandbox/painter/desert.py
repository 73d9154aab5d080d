"""Dunes, pyramids and cacti."""

import math
from collections.abc import Callable

from PIL import Image, ImageChops, ImageDraw

from bot.sandbox.painter.brush import (
    Canvas,
    Point,
    dim_colour,
    draw_gradient,
    draw_noise,
    draw_ramp,
    draw_shape,
    draw_shapes,
    fade_mask,
    fill_shape,
)
from bot.sandbox.painter.palette import Colour, mix
from bot.sandbox.painter.words import Scene

_SAND = {
    "day": (226, 180, 116),
    "dawn": (214, 166, 134),
    "sunset": (224, 124, 68),
    "dusk": (104, 66, 84),
    "night": (36, 46, 76),
}


def paint_dunes(canvas: Canvas, scene: Scene) -> None:
    """Waves of sand, each with a lit and a shaded flank."""
    sand = _SAND[scene.hour]
    shade = mix(sand, canvas.palette.land, 0.62)
    for layer in range(6):
        near = (layer + 1) / 6
        base = canvas.horizon + (canvas.height - canvas.horizon) * (layer / 6) ** 1.3 + canvas.height * 0.03
        _dune(canvas, base, canvas.height * (0.03 + 0.10 * near), near, (sand, shade))


def _dune(canvas: Canvas, base: float, rise: float, near: float, colours: tuple[Colour, Colour]) -> None:
    rng = canvas.rng
    peaks = sorted(rng.uniform(-0.1, 1.1) * canvas.width for _ in range(3))
    top = max(0, int(base - rise) - 2)
    size = (canvas.width, canvas.height - top)

    def crest(x: float) -> float:
        nearest = max(math.exp(-(((x - peak) / (canvas.width * 0.22)) ** 2)) for peak in peaks)
        return base - top - rise * nearest

    line: list[Point] = [(x, crest(x)) for x in range(0, canvas.width + 9, 8)]
    sand = mix(canvas.palette.haze, colours[0], 0.35 + 0.65 * near)
    dark = mix(canvas.palette.haze, colours[1], 0.25 + 0.75 * near)
    mask = draw_shape(size, [*line, (canvas.width + 8, size[1]), (0, size[1])])
    body = draw_gradient(size, (mix(sand, canvas.palette.light, 0.34), sand, mix(sand, dark, 0.5)))
    ripples = draw_noise(rng, size, (12, max(10, int(size[1] / (5 + 9 * near)))))
    body = Image.blend(body, ImageChops.overlay(body, Image.merge("RGB", [ripples] * 3)), 0.16)
    canvas.fill(mask, body, top)
    away = -1 if canvas.light[0] > canvas.width / 2 else 1
    flanks = [_flank(peak, away, crest, (canvas.width, size[1]), rise) for peak in peaks]
    canvas.fill(fade_mask(ImageChops.multiply(draw_shapes(size, flanks), draw_ramp(size, 0.95, 0.15)), 0.8), dark, top)


def _flank(peak: float, away: int, crest: Callable[[float], float], size: tuple[int, int], rise: float) -> list[Point]:
    """The side of a dune that the light does not reach: along the crest, and back along a winding foot."""
    reach = size[0] * 0.26
    columns = [peak + away * reach * t / 24 for t in range(25)]
    along: list[Point] = [(x, crest(x)) for x in columns]
    foot: list[Point] = []
    for t in range(24, -1, -1):
        share = t / 24
        fall = rise * 1.9 * (1 - share) ** 1.3
        foot.append((columns[t] - away * math.sin(share * 3.1) * reach * 0.10 * (1 - share), crest(columns[t]) + fall))
    spine: list[Point] = []
    for t in range(12, 0, -1):
        share = t / 12
        spine.append((peak + away * math.sin(share * 6) * reach * 0.06, crest(peak) + rise * 1.9 * share))
    return [*along, *foot, *spine]


def paint_pyramids(canvas: Canvas) -> None:
    lit, dark = dim_colour(canvas, (226, 178, 112)), dim_colour(canvas, (128, 88, 62))
    for place, size in ((0.62, 0.20), (0.34, 0.30), (0.78, 0.12)):
        x, foot, half = place * canvas.width, canvas.horizon + canvas.height * 0.03, size * canvas.width * 0.6
        top = foot - half * 1.1
        ridge_x = x + half * 0.3
        faces = ([(x - half, foot), (x, top), (ridge_x, foot)], [(ridge_x, foot), (x, top), (x + half, foot)])
        tones = (lit, dark) if canvas.light[0] < x else (dark, lit)
        for face, tone in zip(faces, tones, strict=True):
            fill_shape(canvas, face, mix(tone, canvas.palette.haze, 0.3))


def paint_cactus(canvas: Canvas, x: float, foot: float, tall: float) -> None:
    green = dim_colour(canvas, (58, 110, 66))
    thick = tall * 0.13
    mask = Image.new("L", (canvas.width * 2, canvas.height * 2))
    pen = ImageDraw.Draw(mask)

    def limb(left: float, top: float, right: float, bottom: float) -> None:
        pen.rounded_rectangle((left * 2, top * 2, right * 2, bottom * 2), radius=thick, fill=255)

    limb(x - thick / 2, foot - tall, x + thick / 2, foot + thick / 2)
    limb(x - tall * 0.30, foot - tall * 0.50, x, foot - tall * 0.50 + thick * 0.8)
    limb(x - tall * 0.30, foot - tall * 0.78, x - tall * 0.30 + thick * 0.8, foot - tall * 0.42)
    limb(x, foot - tall * 0.36, x + tall * 0.28, foot - tall * 0.36 + thick * 0.8)
    limb(x + tall * 0.28 - thick * 0.8, foot - tall * 0.66, x + tall * 0.28, foot - tall * 0.29)
    canvas.fill(mask.reduce(2), green)
