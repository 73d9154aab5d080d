"""Soft green ground, and the flowers on it."""

import math

from PIL import Image, ImageChops

from bot.sandbox.painter.brush import Canvas, Point, draw_gradient, draw_noise, draw_shape, draw_shapes, make_skyline
from bot.sandbox.painter.palette import Colour, mix
from bot.sandbox.painter.words import Scene

_GRASS = {"day": (92, 148, 58), "dawn": (112, 124, 82), "sunset": (96, 74, 44)}
_SNOW, _DRY_GRASS = (236, 240, 250), (212, 146, 46)
_FLOWERS = (
    ((232, 72, 60), (250, 208, 70)),
    ((172, 110, 220), (236, 168, 224)),
    ((250, 250, 244), (252, 214, 84)),
)


def paint_hills(canvas: Canvas, scene: Scene, *, layers: int = 4, top: int | None = None) -> None:
    """Soft green ground from the horizon down to the lower edge."""
    start = canvas.horizon if top is None else top
    grass = _GRASS.get(scene.hour, canvas.palette.land)
    if scene.weather == "snow":
        grass = mix(_SNOW, canvas.palette.haze, 0.35 if not canvas.palette.is_dark else 0.75)
    if scene.is_autumn:
        grass = mix(grass, _DRY_GRASS, 0.4)
    for layer in range(layers):
        near = (layer + 1) / layers
        base = start + (canvas.height - start) * (layer / layers) ** 1.25 + canvas.height * 0.02
        rise = canvas.height * (0.05 + 0.05 * near)
        dark = 0.5 * near**2 if scene.weather != "snow" else 0.12
        colour = mix(mix(canvas.palette.haze, grass, 0.35 + 0.65 * near), canvas.palette.land, dark)
        _hill(canvas, base, rise, colour, near, is_smooth=scene.weather == "snow")


def _hill(canvas: Canvas, base: float, rise: float, colour: Colour, near: float, *, is_smooth: bool) -> None:
    phase, waves = canvas.rng.uniform(0, 6), canvas.rng.uniform(0.7, 1.5)
    heights = [
        0.5 + 0.36 * math.sin(phase + x / 128 * 6.3 * waves) + 0.14 * math.sin(phase * 3 + x / 128 * 15)
        for x in range(129)
    ]
    top = max(0, int(base - rise) - 2)
    size = (canvas.width, canvas.height - top)
    mask = draw_shape(size, make_skyline(heights, canvas.width, base - top, rise, size[1]))
    lit = mix(colour, canvas.palette.light, 0.30 - 0.12 * near)
    body = draw_gradient(size, (lit, colour, mix(colour, canvas.palette.land, 0.25 if is_smooth else 0.6)))
    blades = draw_noise(canvas.rng, size, (9, 14) if is_smooth else (size[0] // 3, max(8, size[1] // 9)))
    body = Image.blend(body, ImageChops.overlay(body, Image.merge("RGB", [blades] * 3)), 0.12 + 0.24 * near)
    canvas.fill(mask, body, top)


def paint_flowers(canvas: Canvas, scene: Scene) -> None:
    """Dots of colour, larger towards the viewer."""
    rng = canvas.rng
    colours = rng.choice(_FLOWERS)
    for colour in colours:
        dots: list[list[Point]] = []
        for _ in range(240):
            depth = rng.random() ** 0.8
            y = canvas.height * (0.74 + 0.26 * depth)
            x, radius = rng.random() * canvas.width, canvas.unit * (1.2 + 5.5 * depth**2) * rng.uniform(0.7, 1.2)
            dots.append(
                [(x + radius * math.cos(a), y + radius * 0.7 * math.sin(a)) for a in (0, 1, 2.1, 3.1, 4.2, 5.2)]
            )
        tone = (
            mix(colour, canvas.palette.haze, 0.15)
            if not canvas.palette.is_dark
            else mix(colour, canvas.palette.land, 0.7)
        )
        canvas.fill(draw_shapes(canvas.picture.size, dots), tone)
