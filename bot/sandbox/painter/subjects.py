"""Buildings and things in the air: a town of towers, cabin, castle, balloon, birds."""

import math
from collections.abc import Iterable
from random import Random

from PIL import Image, ImageDraw, ImageFilter

from bot.sandbox.painter.brush import (
    Canvas,
    Point,
    dim_colour,
    draw_gradient,
    draw_shape,
    draw_shapes,
    fade_mask,
    fill_shape,
    make_box,
    paint_glow,
    paint_shade,
)
from bot.sandbox.painter.scene import Colour, Scene, mix


def paint_city(canvas: Canvas, scene: Scene, foot: int) -> None:
    """Paint three rows of towers; windows are lit in the dark."""
    for layer in range(3):
        near = (layer + 1) / 3
        colour = mix(canvas.palette.haze, canvas.palette.land, 0.30 + 0.58 * near)
        _paint_tower_row(canvas, foot, near, colour)


def _paint_tower_row(canvas: Canvas, foot: int, near: float, colour: Colour) -> None:
    rng, towers, lamps = canvas.rng, list[list[Point]](), list[list[Point]]()
    x = -canvas.width * 0.02
    while x < canvas.width:
        wide = canvas.width * rng.uniform(0.03, 0.075) * (0.7 + 0.5 * near)
        # The middle of town is taller.
        centre = math.exp(-(((x / canvas.width - 0.5) / 0.34) ** 2))
        tall = canvas.height * (0.08 + (0.40 - 0.20 * near) * centre * rng.uniform(0.35, 1.0) + 0.05 * rng.random())
        towers += _make_tower(rng, x, foot, wide, tall)
        lamps += _make_windows(rng, x, foot, wide, tall, canvas.unit * (3.2 + 2.2 * near))
        x += wide * rng.uniform(0.86, 1.3)
    size = (canvas.width, foot)
    canvas.fill(
        draw_shapes(size, towers), draw_gradient(size, (colour, colour, mix(colour, canvas.palette.haze, 0.35)))
    )
    share = (0.45 + 0.5 * near) if canvas.palette.is_dark else 0.22
    canvas.fill(fade_mask(draw_shapes(size, lamps), share), canvas.palette.window)


def _make_tower(rng: Random, x: float, foot: float, wide: float, tall: float) -> Iterable[list[Point]]:
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


def _make_windows(rng: Random, x: float, foot: float, wide: float, tall: float, pitch: float) -> Iterable[list[Point]]:
    lit = rng.uniform(0.12, 0.5)
    columns, rows = int(wide / pitch / 1.6), int(tall / pitch / 2.1)
    for column in range(1, columns):
        for row in range(1, rows):
            if rng.random() < lit:
                left, top = x + column * wide / columns, foot - tall + row * tall / rows
                yield [(left, top), (left + pitch * 0.7, top), (left + pitch * 0.7, top + pitch), (left, top + pitch)]


def paint_cabin(canvas: Canvas, x: float, foot: float, wide: float) -> None:
    tall = wide * 0.52
    wood, roof = dim_colour(canvas, (124, 78, 50)), dim_colour(canvas, (84, 44, 40))
    _paint_smoke(canvas, x + wide * 0.26, foot - tall * 2.1, wide)
    fill_shape(canvas, make_box(x + wide * 0.26, foot - tall * 1.2, wide * 0.1, tall * 0.8), roof)
    fill_shape(canvas, make_box(x, foot, wide, tall), wood)
    fill_shape(
        canvas,
        [(x - wide * 0.62, foot - tall * 0.94), (x, foot - tall * 1.95), (x + wide * 0.62, foot - tall * 0.94)],
        roof,
    )
    light = canvas.palette.window if canvas.palette.is_dark else mix(canvas.palette.window, wood, 0.35)
    for column in (-0.29, 0.29):
        fill_shape(canvas, make_box(x + wide * column, foot - tall * 0.34, wide * 0.18, tall * 0.36), light)
        if canvas.palette.is_dark:
            paint_glow(canvas, (x + wide * column, foot - tall * 0.5), wide * 0.75, canvas.palette.window, 0.5, 2.4)
    fill_shape(canvas, make_box(x, foot, wide * 0.17, tall * 0.62), roof)


def _paint_smoke(canvas: Canvas, x: float, y: float, wide: float) -> None:
    puffs = Image.new("L", (canvas.width // 2, canvas.height // 2))
    pen = ImageDraw.Draw(puffs)
    for step in range(14):
        reach = wide * (0.02 + 0.011 * step)
        cx, cy = (
            (x + math.sin(step * 0.6) * wide * 0.025 * step * 0.4 + step * wide * 0.02) / 2,
            (y - step * wide * 0.075) / 2,
        )
        pen.ellipse((cx - reach, cy - reach, cx + reach, cy + reach), fill=150 - step * 9)
    canvas.fill(
        fade_mask(puffs.filter(ImageFilter.GaussianBlur(wide * 0.02)), 0.6).resize(canvas.picture.size),
        mix(canvas.palette.haze, (236, 236, 240), 0.3),
    )


def paint_castle(canvas: Canvas, x: float, foot: float, wide: float) -> None:
    stone = mix(canvas.palette.land, canvas.palette.haze, 0.22)
    walls: list[list[Point]] = [list(make_box(x, foot, wide, wide * 0.34))]
    roofs: list[list[Point]] = []
    lamps: list[list[Point]] = []
    for place, height, thick in (
        (-0.5, 0.62, 0.15),
        (-0.2, 0.86, 0.13),
        (0.06, 1.12, 0.17),
        (0.3, 0.74, 0.12),
        (0.5, 0.56, 0.15),
    ):
        cx, top, half = x + place * wide, foot - height * wide, thick * wide / 2
        walls.append([(cx - half, foot), (cx - half, top), (cx + half, top), (cx + half, foot)])
        roofs.append([(cx - half * 1.35, top), (cx, top - wide * (0.16 + thick)), (cx + half * 1.35, top)])
        lamps += [list(make_box(cx, foot - height * wide * share, wide * 0.022, wide * 0.05)) for share in (0.45, 0.7)]
    size = canvas.picture.size
    canvas.fill(draw_shapes(size, walls), draw_gradient(size, (mix(stone, canvas.palette.light, 0.12), stone)))
    canvas.fill(draw_shapes(size, roofs), mix(dim_colour(canvas, (96, 52, 74)), stone, 0.3))
    canvas.fill(draw_shapes(size, lamps), canvas.palette.window)


_BALLOONS = (((220, 60, 52), (250, 200, 80)), ((48, 116, 200), (244, 238, 224)), ((150, 70, 170), (250, 168, 90)))


def paint_balloon(canvas: Canvas, x: float, y: float, radius: float) -> None:
    colours = canvas.rng.choice(_BALLOONS)
    outline = [_envelope_point(x, y, radius, turn / 24) for turn in range(24)]
    left, top, right, low = (int(edge) for edge in (x - radius - 2, y - radius - 2, x + radius + 2, y + radius * 1.4))
    mask = draw_shape((right - left, low - top), [(px - left, py - top) for px, py in outline])
    for stripe in range(7):
        turn = (stripe - 3) / 3.5 * math.pi / 2
        middle, half = x + radius * 0.92 * math.sin(turn), radius * 0.19 * math.cos(turn) + 1
        band = mask.copy()
        band.paste(0, (0, 0, max(0, int(middle - half) - left), band.height))
        band.paste(0, (min(band.width, int(middle + half) - left), 0, band.width, band.height))
        canvas.picture.paste(dim_colour(canvas, colours[stripe % 2]), (left, top, right, low), band)
    paint_shade(canvas, outline)
    _paint_basket(canvas, x, y, radius)


def _paint_basket(canvas: Canvas, x: float, y: float, radius: float) -> None:
    pen, rope, rim = ImageDraw.Draw(canvas.picture), dim_colour(canvas, (60, 44, 36)), y + radius * 1.62
    for side in (-1, 1):
        line = (x + side * radius * 0.22, y + radius * 1.26, x + side * radius * 0.1, rim)
        pen.line(line, fill=rope, width=max(1, round(canvas.unit)))
    fill_shape(canvas, make_box(x, rim + radius * 0.2, radius * 0.26, radius * 0.22), dim_colour(canvas, (120, 76, 44)))


def _envelope_point(x: float, y: float, radius: float, turn: float) -> Point:
    """Return a point of the balloon's outline: round above, narrowing to the mouth below."""
    across, down = math.sin(turn * math.tau), -math.cos(turn * math.tau)
    return x + radius * across * _envelope_width(turn), y + radius * down * (1.32 if down > 0 else 1)


def _envelope_width(turn: float) -> float:
    """Return the width of a balloon's envelope towards the mouth."""
    low = max(0.0, -math.cos(turn * math.tau))
    return 1 - 0.42 * math.pow(low, 2.2)


def paint_birds(canvas: Canvas) -> None:
    rng, pen = canvas.rng, ImageDraw.Draw(canvas.picture)
    cx, cy = rng.uniform(0.3, 0.7) * canvas.width, rng.uniform(0.2, 0.55) * canvas.horizon
    ink = mix(canvas.palette.land, canvas.palette.haze, 0.15)
    for _ in range(9):
        x, y = cx + rng.gauss(0, 0.13) * canvas.width, cy + rng.gauss(0, 0.06) * canvas.height
        span, lift = rng.uniform(10, 22) * canvas.unit, rng.uniform(0.2, 0.5)
        wings = [
            (x - span, y - span * lift),
            (x - span * 0.4, y - span * lift * 0.9),
            (x, y),
            (x + span * 0.4, y - span * lift * 0.9),
            (x + span, y - span * lift),
        ]
        pen.line(wings, fill=ink, width=max(1, round(2.2 * canvas.unit)), joint="curve")
