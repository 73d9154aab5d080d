"""Outer space: stars, a nebula, a planet with rings."""

import math

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from bot.sandbox.painter.brush import Canvas, apply_threshold, draw_cloud_noise, draw_noise, fade_mask, paint_glow
from bot.sandbox.painter.palette import Colour, mix

_NEBULAE: tuple[tuple[Colour, Colour], ...] = (
    ((226, 70, 130), (64, 90, 220)),
    ((240, 140, 70), (70, 60, 190)),
    ((60, 200, 190), (140, 60, 200)),
)


def paint_space(canvas: Canvas) -> None:
    canvas.picture.paste((5, 6, 18), (0, 0, canvas.width, canvas.height))
    first, second = canvas.rng.choice(_NEBULAE)
    _nebula(canvas, second, 60)
    _nebula(canvas, first, 90)
    _space_stars(canvas)
    _planet(canvas, first, second)


def _nebula(canvas: Canvas, colour: Colour, threshold: int) -> None:
    small = (canvas.width // 2, canvas.height // 2)
    gas = ImageChops.multiply(
        apply_threshold(draw_cloud_noise(canvas.rng, small, (3, 3), 6), threshold, 130),
        draw_noise(canvas.rng, small, (3, 3)),
    )
    mask = gas.resize(canvas.picture.size)
    canvas.fill(fade_mask(mask, 0.85), colour)
    canvas.fill(fade_mask(apply_threshold(mask, 140, 160), 0.5), mix(colour, (255, 244, 230), 0.7))


def _space_stars(canvas: Canvas) -> None:
    rng, pen = canvas.rng, ImageDraw.Draw(canvas.picture)
    for _ in range(900):
        x, y, bright = rng.random() * canvas.width, rng.random() * canvas.height, rng.random() ** 4
        tint = mix((170, 196, 255), (255, 232, 206), rng.random())
        size = canvas.unit * (0.4 + 1.3 * bright)
        pen.ellipse((x - size, y - size, x + size, y + size), fill=mix((40, 44, 70), tint, 0.3 + 0.7 * bright))
        if bright > 0.75:
            paint_glow(canvas, (x, y), 20 * canvas.unit, tint, 0.7, 3)


def _planet(canvas: Canvas, first: Colour, second: Colour) -> None:
    rng, radius = canvas.rng, int(canvas.unit * canvas.rng.uniform(140, 185))
    centre = (int(canvas.width * rng.uniform(0.42, 0.58)), int(canvas.height * rng.uniform(0.44, 0.6)))
    paint_glow(canvas, centre, radius * 1.7, mix(second, (255, 255, 255), 0.3), 0.55, 2)
    ring = _ring(radius, rng.uniform(-28, 28))
    middle = ring.height // 2
    corner = (centre[0] - ring.width // 2, centre[1] - middle)
    sand = mix(first, (255, 240, 214), 0.6)
    canvas.picture.paste(sand, (*corner, corner[0] + ring.width, corner[1] + ring.height), ring)
    canvas.picture.paste(
        _ball(canvas, radius, first, second), (centre[0] - radius, centre[1] - radius), _planet_mask(radius)
    )
    front = ring.copy()
    front.paste(0, (0, 0, ring.width, middle))
    canvas.picture.paste(sand, (*corner, corner[0] + ring.width, corner[1] + ring.height), front)


def _planet_mask(radius: int) -> Image.Image:
    mask = Image.new("L", (radius * 4, radius * 4))
    ImageDraw.Draw(mask).ellipse((2, 2, radius * 4 - 3, radius * 4 - 3), fill=255)
    return mask.reduce(2)


def _ball(canvas: Canvas, radius: int, first: Colour, second: Colour) -> Image.Image:
    """Bands of gas, lit from the upper left, dark on the other side."""
    size = (radius * 2, radius * 2)
    swirl = draw_cloud_noise(canvas.rng, size, (2, 11), 5).rotate(14, Image.Resampling.BILINEAR)
    face = Image.composite(
        Image.new("RGB", size, mix(first, (255, 236, 210), 0.45)),
        Image.new("RGB", size, mix(second, (30, 24, 60), 0.3)),
        swirl,
    )
    shade = (
        Image.radial_gradient("L")
        .resize((int(radius * 3.6),) * 2)
        .crop((int(radius * 1.15), int(radius * 1.15), int(radius * 1.15) + size[0], int(radius * 1.15) + size[1]))
    )
    face.paste((4, 5, 16), (0, 0, *size), apply_threshold(shade, 70, 110))
    return face


def _ring(radius: int, tilt_degrees: float) -> Image.Image:
    side = int(radius * 4.6)
    flat = Image.new("L", (side, side))
    pen = ImageDraw.Draw(flat)
    for step in range(40):
        share = 1.42 + 0.75 * step / 40
        bright = round(70 + 130 * abs(math.sin(step * 1.7)) * (step not in (21, 22)))
        reach = radius * share
        box = (side / 2 - reach, side / 2 - reach * 0.26, side / 2 + reach, side / 2 + reach * 0.26)
        pen.ellipse(box, outline=bright, width=max(2, radius // 40))
    return flat.filter(ImageFilter.GaussianBlur(0.8)).rotate(tilt_degrees, Image.Resampling.BICUBIC)
