"""Water: the mirrored, rippled and darkened view above the horizon, a path of light, a lighthouse, a boat."""

import math

from PIL import Image, ImageChops, ImageFilter

from bot.sandbox.painter.brush import (
    Canvas,
    Point,
    apply_threshold,
    dim_colour,
    draw_gradient,
    draw_noise,
    draw_ramp,
    draw_shape,
    draw_shapes,
    fade_mask,
    fill_shape,
    foreshorten,
    make_box,
    paint_glow,
    paint_shade,
)
from bot.sandbox.painter.scene import Colour, mix


def paint_water(canvas: Canvas, *, waves: float) -> None:
    """Fill the picture below the horizon. `waves` 0 is a still lake, 1 the open sea."""
    top, size = canvas.horizon, (canvas.width, canvas.height - canvas.horizon)
    mirror = _mirror(canvas, size)
    mirror = _ripple(mirror, canvas, waves)
    deep = canvas.palette.water
    tint = draw_gradient(size, (mix(canvas.palette.haze, deep, 0.35), deep, mix(deep, canvas.palette.land, 0.45)))
    shade = draw_ramp(size, 0.22 + 0.18 * waves, 0.58 + 0.27 * waves)
    canvas.picture.paste(Image.composite(tint, mirror, shade), (0, top))
    _paint_crests(canvas, size, waves)
    _paint_light_path(canvas, size)
    _paint_far_edge(canvas, size)


def _mirror(canvas: Canvas, size: tuple[int, int]) -> Image.Image:
    reach = min(canvas.horizon, int(size[1] * 1.25))
    above_water = canvas.picture.crop((0, canvas.horizon - reach, canvas.width, canvas.horizon))
    return above_water.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize(size, Image.Resampling.BILINEAR)


def _ripple(mirror: Image.Image, canvas: Canvas, waves: float) -> Image.Image:
    """Rows pushed aside, farther and thicker towards the viewer."""
    result, rng = mirror.copy(), canvas.rng
    y, phase = 0, rng.uniform(0, 6)
    while y < mirror.height:
        near = y / mirror.height
        thick = 1 + int(4 * near * max(1.0, canvas.unit))
        push = math.sin(phase + y / (2.2 + 12 * near)) * (1 + 11 * near) * (0.4 + waves) * canvas.unit
        push += rng.uniform(-1, 1) * (1 + 5 * near) * canvas.unit
        strip = mirror.crop((0, y, mirror.width, min(mirror.height, y + thick)))
        result.paste(ImageChops.offset(strip, round(push), 0), (0, y))
        y += thick
    return result.filter(ImageFilter.BoxBlur((2.2 * canvas.unit * (1 + waves), 0.6)))


def _draw_wave_noise(canvas: Canvas, size: tuple[int, int], rows: int) -> Image.Image:
    """Long flat ripples that crowd together towards the horizon."""
    flat = draw_noise(canvas.rng, size, (30, rows))
    return foreshorten(flat, 0.86).transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def _paint_crests(canvas: Canvas, size: tuple[int, int], waves: float) -> None:
    ripples = _draw_wave_noise(canvas, size, 120)
    light = mix(canvas.palette.haze, canvas.palette.light, 0.4)
    canvas.fill(fade_mask(apply_threshold(ripples, 150, 90), 0.12 + 0.20 * waves), light, canvas.horizon)
    dark = mix(canvas.palette.water, canvas.palette.land, 0.7)
    canvas.fill(
        fade_mask(apply_threshold(ImageChops.invert(ripples), 150, 90), 0.16 + 0.22 * waves), dark, canvas.horizon
    )


def _paint_light_path(canvas: Canvas, size: tuple[int, int]) -> None:
    """Glitter below sun or moon, wider towards the viewer."""
    sparkle = apply_threshold(_draw_wave_noise(canvas, size, 170), 138, 60)
    spread = Image.new("L", (128, 64))
    centre = canvas.light[0] / canvas.width * 128
    for row in range(64):
        wide = 5 + 17 * row / 64
        for column in range(128):
            spread.putpixel(
                (column, row), round(235 * math.exp(-(((column - centre) / wide) ** 2)) * (1 - 0.55 * row / 64))
            )
    mask = ImageChops.multiply(sparkle, spread.resize(size, Image.Resampling.BILINEAR))
    canvas.fill(fade_mask(mask, 0.85 if canvas.palette.is_dark else 0.75), canvas.palette.light, canvas.horizon)


def _paint_far_edge(canvas: Canvas, size: tuple[int, int]) -> None:
    """The air above the horizon veils the farthest water."""
    band = (size[0], max(2, size[1] // 7))
    canvas.fill(draw_ramp(band, 0.55, 0.0), mix(canvas.palette.haze, canvas.palette.light, 0.2), canvas.horizon)


def paint_lighthouse(canvas: Canvas, x: float, foot: float) -> None:
    tall = canvas.height * 0.36
    wide = tall * 0.15
    top = foot - tall
    white, red = dim_colour(canvas, (244, 240, 232)), dim_colour(canvas, (206, 52, 44))
    lamp = (x, top - tall * 0.045)
    _paint_beam(canvas, lamp, -1 if x > canvas.width / 2 else 1)
    tower = _make_tapered(x, foot + tall * 0.02, wide, top, wide * 0.62)
    fill_shape(canvas, tower, white)
    for band in (1, 3):
        low, high = foot - tall * (band / 5), foot - tall * ((band + 1) / 5)
        fill_shape(
            canvas, _make_tapered(x, low, wide * (1 - 0.38 * band / 5), high, wide * (1 - 0.38 * (band + 1) / 5)), red
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


def _paint_beam(canvas: Canvas, lamp: Point, side: int) -> None:
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
    _paint_reflection(canvas, x, water, tall, sail)
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
        *_make_bulge((x + tall * 0.02, water - tall), (x + wide * 0.5, water - tall * 0.18), 0.07),
        (x + tall * 0.02, water - tall * 0.18),
    ]
    jib = [
        (x - tall * 0.02, water - tall * 0.9),
        *_make_bulge((x - tall * 0.02, water - tall * 0.9), (x - wide * 0.46, water - tall * 0.18), -0.05),
        (x - tall * 0.02, water - tall * 0.18),
    ]
    fill_shape(canvas, main, sail)
    fill_shape(canvas, jib, mix(sail, canvas.palette.haze, 0.35))


def _make_bulge(start: Point, end: Point, depth: float) -> list[Point]:
    """Return a line filled by the wind, from `start` to `end`."""
    size = math.dist(start, end)
    return [
        (
            start[0] + (end[0] - start[0]) * t / 8 + size * depth * math.sin(t / 8 * math.pi) * 2,
            start[1] + (end[1] - start[1]) * t / 8,
        )
        for t in range(9)
    ]


def _paint_reflection(canvas: Canvas, x: float, water: float, tall: float, colour: Colour) -> None:
    streaks: list[list[Point]] = []
    for step in range(12):
        y, half = water + tall * 0.05 * (step + 1), tall * (0.24 - 0.018 * step) * canvas.rng.uniform(0.6, 1.1)
        sway = canvas.rng.uniform(-1, 1) * tall * 0.05
        streaks.append(
            [(x + sway - half, y), (x + sway, y - tall * 0.012), (x + sway + half, y), (x + sway, y + tall * 0.012)]
        )
    canvas.fill(fade_mask(draw_shapes(canvas.picture.size, streaks), 0.34), colour)


def _make_tapered(x: float, low: float, low_wide: float, high: float, high_wide: float) -> list[Point]:
    return [(x - low_wide / 2, low), (x - high_wide / 2, high), (x + high_wide / 2, high), (x + low_wide / 2, low)]
