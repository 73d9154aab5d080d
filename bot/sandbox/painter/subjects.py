"""Subjects: a town of towers, cabin, castle, balloon, birds, and sitting animals (fox, wolf, cat, dog)."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Coat:
    body: Colour
    chest: Colour
    tip: Colour
    ear: float
    tail: float


COATS = {
    "fox": Coat((222, 112, 40), (252, 240, 226), (60, 36, 30), ear=1.0, tail=1.0),
    "wolf": Coat((118, 124, 134), (226, 228, 230), (60, 62, 72), ear=0.85, tail=0.8),
    "cat": Coat((84, 76, 82), (214, 204, 196), (44, 40, 46), ear=0.8, tail=0.42),
    "dog": Coat((198, 146, 88), (248, 238, 222), (110, 72, 44), ear=0.7, tail=0.5),
}


def paint_animal(canvas: Canvas, kind: str, x: float, foot: float, tall: float) -> None:
    """Paint a sitting animal on row `foot`, `tall` pixels high."""
    coat, side = COATS[kind], max(32, int(tall * 1.5))
    patch = Image.new("RGBA", (side * 3, side * 3))
    _Sitter(patch, coat, side * 3, canvas).paint()
    patch = patch.reduce(3)  # LANCZOS would take as long as a third of the picture
    _paint_ground_shadow(canvas, x, foot, tall)
    canvas.picture.paste(patch.convert("RGB"), (int(x - side / 2), int(foot - side * 0.93)), patch.getchannel("A"))
    edge = canvas.light[0] - x
    paint_glow(
        canvas, (x + math.copysign(tall * 0.25, edge), foot - tall * 0.75), tall * 0.5, canvas.palette.light, 0.12, 2
    )


def _paint_ground_shadow(canvas: Canvas, x: float, foot: float, tall: float) -> None:
    reach = 2 * math.ceil(tall * 0.04) + 1  # of the blur, in which the shadow fades out
    left, top = math.floor(x - tall * 0.5) - reach, math.floor(foot - tall * 0.07) - reach
    right, bottom = math.ceil(x + tall * 0.55) + reach, math.ceil(foot + tall * 0.07) + reach
    shadow = Image.new("L", (right - left, bottom - top))
    outline = (x - tall * 0.5 - left, foot - tall * 0.07 - top, x + tall * 0.55 - left, foot + tall * 0.07 - top)
    ImageDraw.Draw(shadow).ellipse(outline, fill=190)
    mask = fade_mask(shadow.filter(ImageFilter.BoxBlur(tall * 0.04)), 0.6)
    canvas.picture.paste(canvas.palette.land, (left, top), mask)


class _Sitter:
    """Draws on a square patch with coordinates from 0 to 1."""

    def __init__(self, patch: Image.Image, coat: Coat, side: int, canvas: Canvas) -> None:
        self._pen = ImageDraw.Draw(patch)
        self._side = side
        dark = 0.55 if canvas.palette.is_dark else 0.10

        def seen(colour: Colour) -> Colour:
            return mix(mix(colour, canvas.palette.haze, 0.10), canvas.palette.land, dark)

        self._body, self._chest, self._tip = seen(coat.body), seen(coat.chest), seen(coat.tip)
        self._shadow = mix(self._body, self._tip, 0.35)
        self._eye = dim_colour(canvas, (24, 18, 18))
        self._coat = coat

    def paint(self) -> None:
        self._draw_tail()
        self._draw_haunch()
        self._draw_legs()
        self._draw_torso()
        self._draw_head()

    def _draw_tail(self) -> None:
        thick = self._coat.tail
        spine = [(0.62 + 0.26 * math.sin(t / 15 * 2.5), 0.90 - 0.40 * (t / 15) ** 1.3 * thick) for t in range(16)]
        for index, (cx, cy) in enumerate(spine):
            share = index / 15
            reach = (0.012 + 0.095 * math.sin(0.35 + share * (math.pi - 0.4))) * (0.35 + 0.65 * thick)
            self._draw_ellipse(cx, cy, reach, reach, self._chest if share > 0.72 and thick > 0.7 else self._shadow)

    def _draw_haunch(self) -> None:
        self._draw_ellipse(0.575, 0.79, 0.155, 0.150, self._shadow)
        self._draw_ellipse(0.565, 0.785, 0.145, 0.140, self._body)

    def _draw_torso(self) -> None:
        self._draw_shape(
            [(0.37, 0.42), (0.57, 0.42), (0.64, 0.58), (0.66, 0.72), (0.58, 0.80), (0.40, 0.78), (0.35, 0.64)],
            self._body,
        )
        self._draw_ellipse(0.47, 0.50, 0.115, 0.13, self._body)
        self._draw_shape(
            [(0.375, 0.46), (0.52, 0.46), (0.515, 0.60), (0.475, 0.74), (0.445, 0.80), (0.405, 0.70), (0.37, 0.58)],
            self._chest,
        )

    def _draw_legs(self) -> None:
        for left, colour in ((0.475, self._shadow), (0.385, self._body)):
            self._draw_shape([(left, 0.62), (left + 0.085, 0.62), (left + 0.07, 0.92), (left + 0.005, 0.92)], colour)
            self._draw_ellipse(left + 0.034, 0.915, 0.046, 0.026, self._tip)
        self._draw_ellipse(0.60, 0.92, 0.075, 0.026, self._tip)

    def _draw_head(self) -> None:
        ear = self._coat.ear
        for base, tip in (((0.335, 0.425), (0.330, 0.30 - 0.20 * ear)), ((0.485, 0.585), (0.590, 0.30 - 0.20 * ear))):
            self._draw_shape([(base[0], 0.33), (tip[0], tip[1]), (base[1], 0.30)], self._body)
            self._draw_shape(
                [(base[0] + 0.02, 0.31), (tip[0] + 0.003, tip[1] + 0.05), (base[1] - 0.022, 0.29)], self._tip
            )
        self._draw_ellipse(0.46, 0.335, 0.145, 0.115, self._body)
        self._draw_shape([(0.32, 0.35), (0.60, 0.35), (0.545, 0.43), (0.455, 0.505), (0.375, 0.43)], self._body)
        self._draw_shape([(0.315, 0.365), (0.405, 0.355), (0.45, 0.42), (0.45, 0.49), (0.375, 0.435)], self._chest)
        self._draw_shape([(0.605, 0.365), (0.515, 0.355), (0.465, 0.42), (0.46, 0.49), (0.545, 0.435)], self._chest)
        self._draw_ellipse(0.4575, 0.487, 0.024, 0.018, self._eye)
        for cx in (0.395, 0.525):
            self._draw_ellipse(cx, 0.345, 0.0165, 0.021, self._eye)
            self._draw_ellipse(cx - 0.005, 0.338, 0.005, 0.006, (255, 255, 255))

    def _draw_ellipse(self, x: float, y: float, half_wide: float, half_tall: float, colour: Colour) -> None:
        box = (x - half_wide, y - half_tall, x + half_wide, y + half_tall)
        self._pen.ellipse([edge * self._side for edge in box], fill=colour)

    def _draw_shape(self, outline: list[Point], colour: Colour) -> None:
        self._pen.polygon([(x * self._side, y * self._side) for x, y in outline], fill=colour)
