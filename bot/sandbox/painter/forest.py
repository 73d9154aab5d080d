"""Rows of conifers with mist between them, and a lone broadleaf tree."""

import math
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from bot.sandbox.painter.brush import (
    Canvas,
    Point,
    apply_threshold,
    dim_colour,
    draw_gradient,
    draw_noise,
    draw_ramp,
    draw_shapes,
    fade_mask,
    make_ridge,
    make_skyline,
)
from bot.sandbox.painter.palette import Colour, mix
from bot.sandbox.painter.words import Scene

_AUTUMN = ((196, 92, 32), (168, 58, 32), (212, 146, 46), (120, 70, 34))


def paint_forest(canvas: Canvas, scene: Scene, *, layers: int = 4, top: int | None = None) -> None:
    """Rows of conifers from pale to dark, with mist between them."""
    start = canvas.horizon if top is None else top
    for layer in range(layers):
        near = (layer + 1) / layers
        foot = start + (canvas.height - start) * 0.75 * (layer / layers) ** 1.3 + canvas.height * 0.03
        tall = canvas.height * (0.09 + 0.20 * near**1.4)
        colour = mix(canvas.palette.haze, canvas.palette.land, 0.22 + 0.70 * near)
        if scene.is_autumn:
            colour = mix(colour, canvas.rng.choice(_AUTUMN), 0.55)
        _row_of_trees(canvas, foot, tall, colour, near)
        if layer < layers - 1:
            _mist(canvas, foot - tall * 0.1, tall * 0.8)


def _row_of_trees(canvas: Canvas, foot: float, tall: float, colour: Colour, near: float) -> None:
    rng = canvas.rng
    top = max(0, int(foot - tall * 1.5))
    size = (canvas.width, canvas.height - top)
    gap = max(6.0, tall * 0.22)
    ground = make_skyline(make_ridge(rng, 32, 0.4), canvas.width, foot - top + tall * 0.1, tall * 0.16, size[1])
    tones: tuple[list[list[Point]], list[list[Point]]] = ([], [ground])
    x = -gap
    while x < canvas.width + gap:
        tones[rng.random() < 0.6].append(make_conifer(rng, x, foot - top + tall * 0.14, tall * rng.uniform(0.55, 1.3)))
        x += gap * rng.uniform(0.5, 1.5) * (2.2 if near > 0.9 and rng.random() < 0.35 else 1)
    for outlines, pale in zip(tones, (0.20, 0.06), strict=True):
        tone = mix(colour, canvas.palette.haze, pale)
        body = draw_gradient(size, (mix(tone, canvas.palette.light, 0.14), tone, mix(tone, canvas.palette.land, 0.45)))
        canvas.fill(draw_shapes(size, outlines), body, top)


def make_conifer(rng: Random, x: float, foot: float, tall: float) -> list[Point]:
    """A fir: branches that droop in steps, wider towards the foot, never quite even."""
    left: list[Point] = []
    right: list[Point] = []
    steps = max(5, min(11, int(tall / 14)))
    for step in range(1, steps + 1):
        y, half = foot - tall * (1 - step / steps * 0.93), tall * 0.20 * (step / steps) ** 0.9
        left += [(x - half * rng.uniform(0.8, 1.2), y + tall * 0.02), (x - half * 0.5, y - tall * 0.006)]
        right += [(x + half * rng.uniform(0.8, 1.2), y + tall * 0.02), (x + half * 0.5, y - tall * 0.006)]
    return [(x, foot - tall), *left, (x, foot), *reversed(right)]


def _mist(canvas: Canvas, top: float, deep: float) -> None:
    size = (canvas.width, max(4, int(deep)))
    wisps = draw_noise(canvas.rng, size, (5, 3))
    shade = ImageChops.multiply(draw_ramp((size[0], size[1]), 0.0, 0.75), apply_threshold(wisps, 10, 320))
    canvas.fill(shade, canvas.palette.haze, int(top))


def paint_tree(canvas: Canvas, x: float, foot: float, tall: float, *, leaves: Colour) -> None:
    """A lone broadleaf tree, grown branch by branch."""
    rng = Random(canvas.rng.getrandbits(64))  # noqa: S311 - pictures, not secrets
    wood = Image.new("L", canvas.picture.size)
    crown: list[tuple[float, float]] = []
    _grow(ImageDraw.Draw(wood), rng, (x, foot), -math.pi / 2, tall * 0.27, tall * 0.06, crown)
    canvas.fill(wood, dim_colour(canvas, (70, 48, 40)))
    for share, tone in (
        (0.0, mix(leaves, canvas.palette.land, 0.55)),
        (0.018, leaves),
        (0.04, mix(leaves, canvas.palette.light, 0.35)),
    ):
        spots = Image.new("L", canvas.picture.size)
        pen = ImageDraw.Draw(spots)
        for cx, cy in crown:
            reach = tall * rng.uniform(0.012, 0.05) * (1 - share * 12)
            px, py = cx + rng.gauss(0, tall * 0.03), cy - tall * share + rng.gauss(0, tall * 0.025)
            pen.ellipse((px - reach, py - reach, px + reach, py + reach), fill=255)
        canvas.fill(fade_mask(spots.filter(ImageFilter.BoxBlur(canvas.unit)), 0.9), dim_colour(canvas, tone))


def _grow(
    pen: ImageDraw.ImageDraw, rng: Random, start: Point, angle: float, length: float, thick: float, crown: list[Point]
) -> None:
    end = (start[0] + math.cos(angle) * length, start[1] + math.sin(angle) * length)
    pen.line((*start, *end), fill=255, width=max(1, round(thick)))
    if thick < length * 0.06 or length < 6:
        crown.append(end)
        return
    for side in (-1, 1):
        _grow(
            pen, rng, end, angle + side * rng.uniform(0.22, 0.58), length * rng.uniform(0.68, 0.86), thick * 0.62, crown
        )
    if thick < length * 0.2:
        crown.append(end)
