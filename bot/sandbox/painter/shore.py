"""On the shore and the water: a lighthouse with its beam, a sailing boat."""

import math

from PIL import Image, ImageChops, ImageFilter

from bot.sandbox.painter.brush import (
    Canvas,
    Point,
    dim_colour,
    draw_shape,
    draw_shapes,
    fade_mask,
    fill_shape,
    make_box,
    paint_glow,
    paint_shade,
)
from bot.sandbox.painter.palette import Colour, mix


def paint_lighthouse(canvas: Canvas, x: float, foot: float) -> None:
    tall = canvas.height * 0.36
    wide = tall * 0.15
    top = foot - tall
    white, red = dim_colour(canvas, (244, 240, 232)), dim_colour(canvas, (206, 52, 44))
    lamp = (x, top - tall * 0.045)
    _beam(canvas, lamp, -1 if x > canvas.width / 2 else 1)
    tower = _tapered(x, foot + tall * 0.02, wide, top, wide * 0.62)
    fill_shape(canvas, tower, white)
    for band in (1, 3):
        low, high = foot - tall * (band / 5), foot - tall * ((band + 1) / 5)
        fill_shape(
            canvas, _tapered(x, low, wide * (1 - 0.38 * band / 5), high, wide * (1 - 0.38 * (band + 1) / 5)), red
        )
    paint_shade(canvas, tower)
    iron = dim_colour(canvas, (52, 54, 62))
    fill_shape(canvas, make_box(x, top, wide * 0.92, tall * 0.022), iron)
    fill_shape(
        canvas,
        make_box(x, top - tall * 0.02, wide * 0.5, tall * 0.06),
        mix(canvas.palette.window, (255, 255, 255), 0.4),
    )
    roof = [(x - wide * 0.36, top - tall * 0.075), (x, top - tall * 0.135), (x + wide * 0.36, top - tall * 0.075)]
    fill_shape(canvas, roof, red)
    fill_shape(canvas, make_box(x, foot + tall * 0.01, wide * 0.26, tall * 0.07), iron)
    paint_glow(canvas, lamp, tall * (0.42 if canvas.palette.is_dark else 0.2), (255, 236, 180), 0.95, 2.6)


def _beam(canvas: Canvas, lamp: Point, side: int) -> None:
    strength = 0.62 if canvas.palette.is_dark else 0.30
    for way, share in ((side, 1.0), (-side, 0.45)):
        reach = canvas.width * 1.1
        cone = [
            lamp,
            (lamp[0] + way * reach, lamp[1] - canvas.height * 0.17),
            (lamp[0] + way * reach, lamp[1] - canvas.height * 0.01),
        ]
        small = (canvas.width // 2, canvas.height // 2)
        mask = draw_shape(small, [(x / 2, y / 2) for x, y in cone]).filter(ImageFilter.GaussianBlur(small[0] / 110))
        fall = Image.radial_gradient("L").resize((small[0] * 2, small[0] * 2))
        left, top = small[0] - int(lamp[0] / 2), small[0] - int(lamp[1] / 2)
        fall = ImageChops.invert(fall.crop((left, top, left + small[0], top + small[1])))
        light = fade_mask(ImageChops.multiply(mask, fall), strength * share).resize(canvas.picture.size)
        canvas.fill(light, (255, 242, 200))


def paint_boat(canvas: Canvas, x: float, water: float, tall: float) -> None:
    hull, sail = dim_colour(canvas, (92, 50, 36)), dim_colour(canvas, (250, 244, 230))
    _reflection(canvas, x, water, tall, sail)
    wide = tall * 0.62
    fill_shape(
        canvas,
        [
            (x - wide * 0.5, water - tall * 0.12),
            (x + wide * 0.56, water - tall * 0.13),
            (x + wide * 0.38, water + tall * 0.02),
            (x - wide * 0.36, water + tall * 0.02),
        ],
        hull,
    )
    fill_shape(canvas, make_box(x, water - tall * 0.1, tall * 0.018, tall * 0.9), hull)
    main = [
        (x + tall * 0.02, water - tall),
        *_bulge((x + tall * 0.02, water - tall), (x + wide * 0.5, water - tall * 0.18), 0.07),
        (x + tall * 0.02, water - tall * 0.18),
    ]
    jib = [
        (x - tall * 0.02, water - tall * 0.9),
        *_bulge((x - tall * 0.02, water - tall * 0.9), (x - wide * 0.46, water - tall * 0.18), -0.05),
        (x - tall * 0.02, water - tall * 0.18),
    ]
    fill_shape(canvas, main, sail)
    fill_shape(canvas, jib, mix(sail, canvas.palette.haze, 0.35))


def _bulge(start: Point, end: Point, depth: float) -> list[Point]:
    """A line that the wind fills, from `start` to `end`."""
    size = math.dist(start, end)
    return [
        (
            start[0] + (end[0] - start[0]) * t / 8 + size * depth * math.sin(t / 8 * math.pi) * 2,
            start[1] + (end[1] - start[1]) * t / 8,
        )
        for t in range(9)
    ]


def _reflection(canvas: Canvas, x: float, water: float, tall: float, colour: Colour) -> None:
    streaks: list[list[Point]] = []
    for step in range(12):
        y, half = water + tall * 0.05 * (step + 1), tall * (0.24 - 0.018 * step) * canvas.rng.uniform(0.6, 1.1)
        sway = canvas.rng.uniform(-1, 1) * tall * 0.05
        streaks.append(
            [(x + sway - half, y), (x + sway, y - tall * 0.012), (x + sway + half, y), (x + sway, y + tall * 0.012)]
        )
    canvas.fill(fade_mask(draw_shapes(canvas.picture.size, streaks), 0.34), colour)


def _tapered(x: float, low: float, low_wide: float, high: float, high_wide: float) -> list[Point]:
    return [(x - low_wide / 2, low), (x - high_wide / 2, high), (x + high_wide / 2, high), (x + low_wide / 2, low)]
