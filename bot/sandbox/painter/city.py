"""A town across the water: three rows of towers with their windows."""

import math
from collections.abc import Iterable
from random import Random

from bot.sandbox.painter.brush import Canvas, Point, draw_gradient, draw_shapes, fade_mask
from bot.sandbox.painter.palette import Colour, mix
from bot.sandbox.painter.words import Scene


def paint_city(canvas: Canvas, scene: Scene, foot: int) -> None:
    """Three rows of towers; windows are lit when it is dark."""
    for layer in range(3):
        near = (layer + 1) / 3
        colour = mix(canvas.palette.haze, canvas.palette.land, 0.30 + 0.58 * near)
        _row_of_towers(canvas, foot, near, colour)


def _row_of_towers(canvas: Canvas, foot: int, near: float, colour: Colour) -> None:
    rng, towers, lamps = canvas.rng, list[list[Point]](), list[list[Point]]()
    x = -canvas.width * 0.02
    while x < canvas.width:
        wide = canvas.width * rng.uniform(0.03, 0.075) * (0.7 + 0.5 * near)
        # The middle of town is taller.
        centre = math.exp(-(((x / canvas.width - 0.5) / 0.34) ** 2))
        tall = canvas.height * (0.08 + (0.40 - 0.20 * near) * centre * rng.uniform(0.35, 1.0) + 0.05 * rng.random())
        towers += _tower(rng, x, foot, wide, tall)
        lamps += _windows(rng, x, foot, wide, tall, canvas.unit * (3.2 + 2.2 * near))
        x += wide * rng.uniform(0.86, 1.3)
    size = (canvas.width, foot)
    canvas.fill(
        draw_shapes(size, towers), draw_gradient(size, (colour, colour, mix(colour, canvas.palette.haze, 0.35)))
    )
    share = (0.45 + 0.5 * near) if canvas.palette.is_dark else 0.22
    canvas.fill(fade_mask(draw_shapes(size, lamps), share), canvas.palette.window)


def _tower(rng: Random, x: float, foot: float, wide: float, tall: float) -> Iterable[list[Point]]:
    yield [(x, foot), (x, foot - tall), (x + wide, foot - tall), (x + wide, foot)]
    kind, middle = rng.random(), x + wide / 2
    if kind < 0.25:
        yield [(middle - wide * 0.03, foot - tall), (middle, foot - tall * 1.28), (middle + wide * 0.03, foot - tall)]
    elif kind < 0.5:
        inset, step = wide * 0.2, tall * 0.08
        yield [
            (x + inset, foot - tall),
            (x + inset, foot - tall - step),
            (x + wide - inset, foot - tall - step),
            (x + wide - inset, foot - tall),
        ]
    elif kind < 0.62:
        yield [(x, foot - tall), (x + wide, foot - tall * 1.1), (x + wide, foot - tall)]


def _windows(rng: Random, x: float, foot: float, wide: float, tall: float, pitch: float) -> Iterable[list[Point]]:
    lit = rng.uniform(0.12, 0.5)
    columns, rows = int(wide / pitch / 1.6), int(tall / pitch / 2.1)
    for column in range(1, columns):
        for row in range(1, rows):
            if rng.random() < lit:
                left, top = x + column * wide / columns, foot - tall + row * tall / rows
                yield [(left, top), (left + pitch * 0.7, top), (left + pitch * 0.7, top + pitch), (left, top + pitch)]
