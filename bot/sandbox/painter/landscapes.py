"""Land: forests, a lone tree, meadows with flowers, deserts with dunes, pyramids and cacti, and mountains and rock."""

import math
from collections.abc import Callable
from random import Random

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from bot.sandbox.painter.brush import (
    Canvas,
    Point,
    apply_threshold,
    dim_colour,
    draw_cloud_noise,
    draw_gradient,
    draw_noise,
    draw_ramp,
    draw_shape,
    draw_shapes,
    fade_mask,
    fill_shape,
    make_ridge,
    make_skyline,
    shift_image,
)
from bot.sandbox.painter.scene import Colour, Scene, mix

_AUTUMN = ((196, 92, 32), (168, 58, 32), (212, 146, 46), (120, 70, 34))


def paint_forest(canvas: Canvas, scene: Scene, *, layers: int = 4, top: int | None = None) -> None:
    """Paint rows of conifers from pale to dark, with mist between rows."""
    start = canvas.horizon if top is None else top
    for layer in range(layers):
        near = (layer + 1) / layers
        foot = start + (canvas.height - start) * 0.75 * (layer / layers) ** 1.3 + canvas.height * 0.03
        tall = canvas.height * (0.09 + 0.20 * near**1.4)
        colour = mix(canvas.palette.haze, canvas.palette.land, 0.22 + 0.70 * near)
        if scene.is_autumn:
            colour = mix(colour, canvas.rng.choice(_AUTUMN), 0.55)
        _paint_tree_row(canvas, foot, tall, colour, near)
        if layer < layers - 1:
            _paint_mist(canvas, foot - tall * 0.1, tall * 0.8)


def _paint_tree_row(canvas: Canvas, foot: float, tall: float, colour: Colour, near: float) -> None:
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
    """Paint a fir: drooping branches in steps, wider towards the foot, slightly uneven."""
    left: list[Point] = []
    right: list[Point] = []
    steps = max(5, min(11, int(tall / 14)))
    for step in range(1, steps + 1):
        y, half = foot - tall * (1 - step / steps * 0.93), tall * 0.20 * (step / steps) ** 0.9
        left += [(x - half * rng.uniform(0.8, 1.2), y + tall * 0.02), (x - half * 0.5, y - tall * 0.006)]
        right += [(x + half * rng.uniform(0.8, 1.2), y + tall * 0.02), (x + half * 0.5, y - tall * 0.006)]
    return [(x, foot - tall), *left, (x, foot), *reversed(right)]


def _paint_mist(canvas: Canvas, top: float, deep: float) -> None:
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
        _paint_hill(canvas, base, rise, colour, near, is_smooth=scene.weather == "snow")


def _paint_hill(canvas: Canvas, base: float, rise: float, colour: Colour, near: float, *, is_smooth: bool) -> None:
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


_SAND = {
    "day": (226, 180, 116),
    "dawn": (214, 166, 134),
    "sunset": (224, 124, 68),
    "dusk": (104, 66, 84),
    "night": (36, 46, 76),
}


def paint_dunes(canvas: Canvas, scene: Scene) -> None:
    """Waves of sand, each with a lit and a shaded flank."""
    sand = _SAND[scene.hour]
    shade = mix(sand, canvas.palette.land, 0.62)
    for layer in range(6):
        near = (layer + 1) / 6
        base = canvas.horizon + (canvas.height - canvas.horizon) * (layer / 6) ** 1.3 + canvas.height * 0.03
        _paint_dune(canvas, base, canvas.height * (0.03 + 0.10 * near), near, (sand, shade))


def _paint_dune(canvas: Canvas, base: float, rise: float, near: float, colours: tuple[Colour, Colour]) -> None:
    rng = canvas.rng
    peaks = sorted(rng.uniform(-0.1, 1.1) * canvas.width for _ in range(3))
    top = max(0, int(base - rise) - 2)
    size = (canvas.width, canvas.height - top)

    def crest(x: float) -> float:
        nearest = max(math.exp(-(((x - peak) / (canvas.width * 0.22)) ** 2)) for peak in peaks)
        return base - top - rise * nearest

    line: list[Point] = [(x, crest(x)) for x in range(0, canvas.width + 9, 8)]
    sand = mix(canvas.palette.haze, colours[0], 0.35 + 0.65 * near)
    dark = mix(canvas.palette.haze, colours[1], 0.25 + 0.75 * near)
    mask = draw_shape(size, [*line, (canvas.width + 8, size[1]), (0, size[1])])
    body = draw_gradient(size, (mix(sand, canvas.palette.light, 0.34), sand, mix(sand, dark, 0.5)))
    ripples = draw_noise(rng, size, (12, max(10, int(size[1] / (5 + 9 * near)))))
    body = Image.blend(body, ImageChops.overlay(body, Image.merge("RGB", [ripples] * 3)), 0.16)
    canvas.fill(mask, body, top)
    away = -1 if canvas.light[0] > canvas.width / 2 else 1
    flanks = [_make_flank(peak, away, crest, (canvas.width, size[1]), rise) for peak in peaks]
    canvas.fill(fade_mask(ImageChops.multiply(draw_shapes(size, flanks), draw_ramp(size, 0.95, 0.15)), 0.8), dark, top)


def _make_flank(
    peak: float, away: int, crest: Callable[[float], float], size: tuple[int, int], rise: float
) -> list[Point]:
    """Return the shaded side of a dune: along the crest, and back along a winding foot."""
    reach = size[0] * 0.26
    columns = [peak + away * reach * t / 24 for t in range(25)]
    along: list[Point] = [(x, crest(x)) for x in columns]
    foot: list[Point] = []
    for t in range(24, -1, -1):
        share = t / 24
        fall = rise * 1.9 * (1 - share) ** 1.3
        foot.append((columns[t] - away * math.sin(share * 3.1) * reach * 0.10 * (1 - share), crest(columns[t]) + fall))
    spine: list[Point] = []
    for t in range(12, 0, -1):
        share = t / 12
        spine.append((peak + away * math.sin(share * 6) * reach * 0.06, crest(peak) + rise * 1.9 * share))
    return [*along, *foot, *spine]


def paint_pyramids(canvas: Canvas) -> None:
    lit, dark = dim_colour(canvas, (226, 178, 112)), dim_colour(canvas, (128, 88, 62))
    for place, size in ((0.62, 0.20), (0.34, 0.30), (0.78, 0.12)):
        x, foot, half = place * canvas.width, canvas.horizon + canvas.height * 0.03, size * canvas.width * 0.6
        top = foot - half * 1.1
        ridge_x = x + half * 0.3
        faces = ([(x - half, foot), (x, top), (ridge_x, foot)], [(ridge_x, foot), (x, top), (x + half, foot)])
        tones = (lit, dark) if canvas.light[0] < x else (dark, lit)
        for face, tone in zip(faces, tones, strict=True):
            fill_shape(canvas, face, mix(tone, canvas.palette.haze, 0.3))


def paint_cactus(canvas: Canvas, x: float, foot: float, tall: float) -> None:
    green = dim_colour(canvas, (58, 110, 66))
    thick = tall * 0.13
    mask = Image.new("L", (canvas.width * 2, canvas.height * 2))
    pen = ImageDraw.Draw(mask)

    def limb(left: float, top: float, right: float, bottom: float) -> None:
        pen.rounded_rectangle((left * 2, top * 2, right * 2, bottom * 2), radius=thick, fill=255)

    limb(x - thick / 2, foot - tall, x + thick / 2, foot + thick / 2)
    limb(x - tall * 0.30, foot - tall * 0.50, x, foot - tall * 0.50 + thick * 0.8)
    limb(x - tall * 0.30, foot - tall * 0.78, x - tall * 0.30 + thick * 0.8, foot - tall * 0.42)
    limb(x, foot - tall * 0.36, x + tall * 0.28, foot - tall * 0.36 + thick * 0.8)
    limb(x + tall * 0.28 - thick * 0.8, foot - tall * 0.66, x + tall * 0.28, foot - tall * 0.29)
    canvas.fill(mask.reduce(2), green)


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
