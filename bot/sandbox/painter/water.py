"""Water: what stands above it, mirrored, rippled and darkened, with a path of light."""

import math

from PIL import Image, ImageChops, ImageFilter

from bot.sandbox.painter.brush import (
    Canvas,
    apply_threshold,
    draw_gradient,
    draw_noise,
    draw_ramp,
    fade_mask,
    foreshorten,
)
from bot.sandbox.painter.palette import mix


def paint_water(canvas: Canvas, *, waves: float) -> None:
    """Fill everything below the horizon. `waves` 0 is a still lake, 1 the open sea."""
    top, size = canvas.horizon, (canvas.width, canvas.height - canvas.horizon)
    mirror = _mirrored(canvas, size)
    mirror = _rippled(mirror, canvas, waves)
    deep = canvas.palette.water
    tint = draw_gradient(size, (mix(canvas.palette.haze, deep, 0.35), deep, mix(deep, canvas.palette.land, 0.45)))
    shade = draw_ramp(size, 0.22 + 0.18 * waves, 0.58 + 0.27 * waves)
    canvas.picture.paste(Image.composite(tint, mirror, shade), (0, top))
    _crests(canvas, size, waves)
    _path_of_light(canvas, size)
    _far_edge(canvas, size)


def _mirrored(canvas: Canvas, size: tuple[int, int]) -> Image.Image:
    reach = min(canvas.horizon, int(size[1] * 1.25))
    above_water = canvas.picture.crop((0, canvas.horizon - reach, canvas.width, canvas.horizon))
    return above_water.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize(size, Image.Resampling.BILINEAR)


def _rippled(mirror: Image.Image, canvas: Canvas, waves: float) -> Image.Image:
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


def _wave_noise(canvas: Canvas, size: tuple[int, int], rows: int) -> Image.Image:
    """Long flat ripples that crowd together towards the horizon."""
    flat = draw_noise(canvas.rng, size, (30, rows))
    return foreshorten(flat, 0.86).transpose(Image.Transpose.FLIP_TOP_BOTTOM)


def _crests(canvas: Canvas, size: tuple[int, int], waves: float) -> None:
    ripples = _wave_noise(canvas, size, 120)
    light = mix(canvas.palette.haze, canvas.palette.light, 0.4)
    canvas.fill(fade_mask(apply_threshold(ripples, 150, 90), 0.12 + 0.20 * waves), light, canvas.horizon)
    dark = mix(canvas.palette.water, canvas.palette.land, 0.7)
    canvas.fill(
        fade_mask(apply_threshold(ImageChops.invert(ripples), 150, 90), 0.16 + 0.22 * waves), dark, canvas.horizon
    )


def _path_of_light(canvas: Canvas, size: tuple[int, int]) -> None:
    """Glitter below sun or moon, wider towards the viewer."""
    sparkle = apply_threshold(_wave_noise(canvas, size, 170), 138, 60)
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


def _far_edge(canvas: Canvas, size: tuple[int, int]) -> None:
    """The air above the horizon veils the farthest water."""
    band = (size[0], max(2, size[1] // 7))
    canvas.fill(draw_ramp(band, 0.55, 0.0), mix(canvas.palette.haze, canvas.palette.light, 0.2), canvas.horizon)
