"""Rock: ranges behind ranges into the haze, a mound for a castle, a headland for a lighthouse."""

from PIL import Image, ImageChops

from bot.sandbox.painter.brush import (
    Canvas,
    Point,
    apply_threshold,
    draw_cloud_noise,
    draw_gradient,
    draw_ramp,
    draw_shape,
    fade_mask,
    make_ridge,
    make_skyline,
    shift_image,
)
from bot.sandbox.painter.scene import Colour, Scene, mix


def paint_mountains(
    canvas: Canvas, scene: Scene, *, layers: int = 4, foot: int | None = None, scale: float = 1.0
) -> None:
    """Ranges from far and pale to near and dark, standing on row `foot`."""
    foot = canvas.horizon if foot is None else foot
    has_snow = scene.weather == "snow" or scene.place == "mountains"
    for layer in range(layers):
        near = (layer + 1) / (layers + 1)
        rise = canvas.height * (0.34 - 0.20 * near) * scale * canvas.rng.uniform(0.85, 1.15)
        base = foot - canvas.height * 0.05 * (1 - near) * scale + canvas.height * 0.035 * near
        heights = make_ridge(canvas.rng, 512, 0.55 - 0.03 * layer)
        colour = mix(canvas.palette.haze, canvas.palette.land, 0.18 + 0.66 * near)
        _paint_range(canvas, heights, (base, rise), colour, snow=0.9 - 0.8 * near if has_snow else 0.0)


def _paint_range(canvas: Canvas, heights: list[float], place: tuple[float, float], colour: Colour, snow: float) -> None:
    """One range; `place` is the row of its foot and its rise in pixels, `snow` how far the snow comes down (0 to 1)."""
    base, rise = place
    top = max(0, int(base - rise) - 2)
    size = (canvas.width, canvas.height - top)
    mask = draw_shape(size, make_skyline(heights, canvas.width, base - top, rise, size[1]))
    mist = mix(colour, canvas.palette.haze, 0.55)
    depth = max(4, int(base - top))
    body = Image.new("RGB", size, mist)
    body.paste(draw_gradient((size[0], depth), (colour, colour, mist)), (0, 0))
    rock = draw_rock_relief(canvas, size)
    if snow > 0:
        line = draw_ramp((size[0], depth), 0.2 + snow, -0.75 + snow)
        cover = Image.new("L", size)
        cover.paste(
            apply_threshold(ImageChops.add(line, fade_mask(rock.crop((0, 0, size[0], depth)), 0.8)), 172, 60), (0, 0)
        )
        white = mix(
            mix((246, 248, 255), canvas.palette.haze, 0.28),
            canvas.palette.land,
            0.45 if canvas.palette.is_dark else 0.04,
        )
        body.paste(white, (0, 0, *size), cover)
    shaded = ImageChops.overlay(body, Image.merge("RGB", [rock] * 3))
    body = Image.composite(shaded, body, draw_ramp(size, 0.95, 0.0))
    canvas.fill(mask, body, top)


def draw_rock_relief(canvas: Canvas, size: tuple[int, int]) -> Image.Image:
    """Paint light and shade of the slopes."""
    small = (max(8, size[0] // 3), max(8, size[1] // 3))
    folds = draw_cloud_noise(canvas.rng, small, (14, 3), 4)
    towards = 1 if canvas.light[0] > canvas.width / 2 else -1
    lit = shift_image(folds, towards * max(2, small[0] // 60), -max(1, small[0] // 120))
    return ImageChops.subtract(lit, folds, 1.25, 124).resize(size, Image.Resampling.BICUBIC)


def paint_mound(canvas: Canvas, x: float, top: float) -> float:
    """Paint a steep hill with the summit at column `x` and row `top`; return the row of the flat summit."""
    half = canvas.width * 0.34
    line: list[Point] = []
    for step in range(61):
        share = step / 30 - 1
        fall = max(0.0, abs(share) - 0.30) / 0.70
        line.append(
            (
                x + share * half,
                top
                + (canvas.horizon + canvas.height * 0.12 - top) * fall**1.3
                + canvas.rng.uniform(-4, 4) * canvas.unit,
            )
        )
    colour = mix(canvas.palette.haze, canvas.palette.land, 0.74)
    size = canvas.picture.size
    body = draw_gradient(size, (mix(colour, canvas.palette.light, 0.2), colour, mix(colour, canvas.palette.haze, 0.4)))
    body = ImageChops.overlay(body, Image.merge("RGB", [draw_rock_relief(canvas, size)] * 3))
    canvas.fill(draw_shape(size, [*line, (x + half, size[1]), (x - half, size[1])]), body)
    return top + canvas.height * 0.04


def paint_headland(canvas: Canvas, side: int, top: float, reach: float) -> float:
    """Paint a dark rock from the left (-1) or right (1) edge over `reach` of the width; return the summit's column."""
    rng = canvas.rng
    peak = reach * 0.5
    line: list[Point] = []
    for step in range(41):
        share = step / 40
        fall = 1 - 0.05 * share - 0.95 * max(0.0, (share - 0.45) / 0.55) ** 1.6
        line.append(
            (
                share * reach * canvas.width,
                canvas.height - (canvas.height - top) * fall + rng.uniform(-1, 1) * 12 * canvas.unit * (share > 0.5),
            )
        )
    outline = [(0, canvas.height), *line, (reach * canvas.width, canvas.height)]
    if side > 0:
        outline = [(canvas.width - x, y) for x, y in outline]
    start = max(0, int(top) - 4)
    size = (canvas.width, canvas.height - start)
    mask = draw_shape(size, [(x, y - start) for x, y in outline])
    near = mix(canvas.palette.land, canvas.palette.haze, 0.10)
    body = draw_gradient(size, (mix(near, canvas.palette.light, 0.16), near, canvas.palette.land))
    rock = draw_rock_relief(canvas, size)
    canvas.fill(mask, ImageChops.overlay(body, Image.merge("RGB", [rock] * 3)), start)
    return canvas.width * (peak if side < 0 else 1 - peak)
