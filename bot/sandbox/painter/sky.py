"""The sky: gradient, stars, sun or moon, clouds, northern lights, weather, and outer space."""

import math

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from bot.sandbox.painter.brush import (
    Canvas,
    apply_threshold,
    draw_cloud_noise,
    draw_gradient,
    draw_noise,
    draw_ramp,
    fade_mask,
    foreshorten,
    paint_glow,
    shift_image,
)
from bot.sandbox.painter.scene import Colour, Scene, mix

_COVER = {"clear": 178, "clouds": 128, "fog": 150, "rain": 84, "snow": 110}


def paint_sky(canvas: Canvas, scene: Scene) -> None:
    height = min(canvas.height, canvas.horizon + 2)
    canvas.picture.paste(draw_gradient((canvas.width, height), canvas.palette.sky), (0, 0))
    if canvas.palette.is_dark:
        _paint_stars(canvas, height, 420 if scene.hour == "night" else 130)
    if scene.hour == "night" and scene.weather == "clear":
        _paint_milky_way(canvas, height)
    if "aurora" in scene.subjects:
        _paint_aurora(canvas, height)
    _paint_light(canvas, scene)
    _paint_clouds(canvas, scene, height)


def _paint_stars(canvas: Canvas, height: int, count: int) -> None:
    rng, pen = canvas.rng, ImageDraw.Draw(canvas.picture)
    for _ in range(int(count * canvas.width * height / 800_000) + 20):
        # Haze swallows stars towards the horizon.
        x, y = rng.random() * canvas.width, height * rng.random() ** 1.5 * 0.92
        bright = rng.random() ** 3
        tint = mix((190, 208, 255), (255, 236, 214), rng.random())
        under = canvas.picture.getpixel((int(x), int(y)))
        base: Colour = (under[0], under[1], under[2]) if isinstance(under, tuple) else (0, 0, 0)
        size = canvas.unit * (0.5 + 1.1 * bright)
        pen.ellipse((x - size, y - size, x + size, y + size), fill=mix(base, tint, 0.25 + 0.75 * bright))
        if bright > 0.8:
            paint_glow(canvas, (x, y), 13 * canvas.unit, tint, 0.55, 3)


def _paint_milky_way(canvas: Canvas, height: int) -> None:
    size = (canvas.width // 2, height // 2)
    dust = draw_cloud_noise(canvas.rng, size, (6, 5))
    band = Image.linear_gradient("L").rotate(canvas.rng.choice((38, 52, -42)), expand=False).resize(size)
    middle = band.point([round(255 * math.exp(-(((level - 120) / 44) ** 2))) for level in range(256)])
    mask = ImageChops.multiply(middle.filter(ImageFilter.GaussianBlur(size[0] / 40)), apply_threshold(dust, 60, 190))
    mask = ImageChops.multiply(mask, draw_ramp(size, 1.0, 0.1)).resize((canvas.width, height))
    canvas.fill(fade_mask(mask, 0.36), (158, 170, 222))


def _paint_aurora(canvas: Canvas, height: int) -> None:
    size = (canvas.width // 2, height // 2)
    for colour, shift in (((64, 240, 170), 0.0), ((80, 200, 230), 0.9), ((170, 110, 235), 1.9)):
        curtain = Image.new("L", size)
        pen = ImageDraw.Draw(curtain)
        phase = canvas.rng.uniform(0, 6) + shift
        for x in range(size[0]):
            wave = math.sin(phase + x / size[0] * 5) * 0.10 + math.sin(phase * 2 + x / size[0] * 13) * 0.03
            foot = size[1] * (0.66 + wave - shift * 0.08)
            tall = size[1] * (0.34 + 0.1 * math.sin(phase + x / size[0] * 21))
            pen.line((x, foot - tall, x, foot), fill=150 + round(70 * math.sin(x / size[0] * 60 + phase)))
        curtain = curtain.filter(ImageFilter.GaussianBlur(size[0] / 70)).resize((canvas.width, height))
        rays = draw_noise(canvas.rng, (canvas.width, height), (44, 2))
        canvas.fill(fade_mask(ImageChops.multiply(curtain, apply_threshold(rays, 10, 240)), 0.62), colour)


def _paint_light(canvas: Canvas, scene: Scene) -> None:
    """Paint sun or moon with a glow; bad weather hides the disc."""
    is_hidden = scene.weather in ("rain", "snow") or (scene.weather == "fog" and not canvas.palette.is_dark)
    reach = min(canvas.width, canvas.height)
    light = canvas.palette.light
    warm = mix(light, canvas.palette.haze, 0.45)
    strength = 0.35 if is_hidden else 0.7
    paint_glow(canvas, canvas.light, reach * 0.8, warm if scene.hour != "night" else (90, 120, 180), strength, 2.4)
    paint_glow(canvas, canvas.light, reach * 0.3, light, strength * 0.8, 3)
    if is_hidden:
        return
    if scene.hour == "night":
        _paint_moon(canvas, 46 * canvas.unit)
    else:
        radius = {"day": 34, "dawn": 44, "dusk": 40}.get(scene.hour, 60) * canvas.unit
        _paint_disc(canvas, radius, mix(light, (255, 255, 255), 0.5))


def _paint_disc(canvas: Canvas, radius: float, colour: Colour) -> None:
    side = int(radius * 2) + 4
    mask = Image.new("L", (side * 4, side * 4))
    ImageDraw.Draw(mask).ellipse((8, 8, side * 4 - 8, side * 4 - 8), fill=255)
    mask = mask.reduce(4)
    canvas.picture.paste(colour, (canvas.light[0] - side // 2, canvas.light[1] - side // 2), mask)


def _paint_moon(canvas: Canvas, radius: float) -> None:
    side = int(radius * 2) + 4
    disc = Image.new("L", (side * 4, side * 4))
    ImageDraw.Draw(disc).ellipse((8, 8, side * 4 - 8, side * 4 - 8), fill=255)
    seas = apply_threshold(draw_cloud_noise(canvas.rng, (side, side), (3, 3), 4), 120, 160)
    face = Image.composite(
        Image.new("RGB", (side, side), (206, 212, 226)), Image.new("RGB", (side, side), (248, 248, 240)), seas
    )
    canvas.picture.paste(face, (canvas.light[0] - side // 2, canvas.light[1] - side // 2), disc.reduce(4))


def _paint_clouds(canvas: Canvas, scene: Scene, height: int) -> None:
    """Two decks: high thin streaks and heaped clouds lit from the light's side, both flatter towards the horizon."""
    size = (max(8, canvas.width // 2), max(8, height // 2))
    # Wider pictures have more clouds side by side; a fixed number would look stretched.
    across = max(3, round(4 * canvas.width / max(1, height)))
    streaks = apply_threshold(foreshorten(draw_cloud_noise(canvas.rng, size, (across, 14), 4), 0.62), 150, 140)
    canvas.fill(fade_mask(streaks, 0.30).resize((canvas.width, height)), canvas.palette.cloud)
    heaps = foreshorten(draw_cloud_noise(canvas.rng, size, (across, 5), 5), 0.62)
    threshold = _COVER[scene.weather] + canvas.rng.randint(-14, 14)
    mask = apply_threshold(heaps, threshold, 120)
    towards = 1 if canvas.light[0] > canvas.width / 2 else -1
    away = shift_image(heaps, -towards * max(2, size[0] // 90), max(2, size[1] // 40))
    lit = ImageChops.subtract(heaps, away, 0.5, 116)
    shades = Image.composite(
        Image.new("RGB", size, canvas.palette.cloud), Image.new("RGB", size, canvas.palette.cloud_shadow), lit
    )
    full = (canvas.width, height)
    canvas.fill(fade_mask(mask, 0.86).resize(full), shades.resize(full))


def paint_weather(canvas: Canvas, scene: Scene) -> None:
    if scene.weather == "fog":
        _paint_fog(canvas)
    elif scene.weather == "rain":
        _paint_rain(canvas)
    elif scene.weather == "snow":
        _paint_snow(canvas)
    _paint_vignette(canvas)


def _paint_fog(canvas: Canvas) -> None:
    size = canvas.picture.size
    small = (size[0] // 4, size[1] // 4)
    drift = apply_threshold(draw_cloud_noise(canvas.rng, small, (3, 6), 4), 30, 330).resize(size)
    low = draw_ramp(size, 0.05, 0.75)
    canvas.fill(fade_mask(ImageChops.multiply(drift, low), 0.8), canvas.palette.haze)


def _paint_rain(canvas: Canvas) -> None:
    rng, size = canvas.rng, canvas.picture.size
    drops = Image.new("L", size)
    pen = ImageDraw.Draw(drops)
    slant = rng.uniform(-0.25, 0.25)
    for _ in range(900):
        x, y, length = rng.uniform(-0.1, 1.1) * size[0], rng.random() * size[1], rng.uniform(14, 46) * canvas.unit
        pen.line(
            (x, y, x + slant * length, y + length), fill=rng.randint(60, 170), width=max(1, round(1.4 * canvas.unit))
        )
    canvas.fill(fade_mask(drops.filter(ImageFilter.GaussianBlur(0.7 * canvas.unit)), 0.75), (214, 224, 238))


def _paint_snow(canvas: Canvas) -> None:
    rng, size = canvas.rng, canvas.picture.size
    for count, radius, blur, share in ((520, 1.5, 0.4, 0.8), (150, 3.0, 0.9, 0.85), (26, 8.0, 4.0, 0.55)):
        flakes = Image.new("L", size)
        pen = ImageDraw.Draw(flakes)
        for _ in range(count):
            x, y, reach = rng.random() * size[0], rng.random() * size[1], radius * canvas.unit * rng.uniform(0.6, 1.4)
            pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=255)
        canvas.fill(fade_mask(flakes.filter(ImageFilter.BoxBlur(blur * canvas.unit)), share), (250, 252, 255))


def _paint_vignette(canvas: Canvas) -> None:
    """Corners a little darker, as a lens leaves them."""
    rim = Image.radial_gradient("L").resize(canvas.picture.size, Image.Resampling.BILINEAR)
    canvas.fill(fade_mask(apply_threshold(rim, 120, 200), 0.42), canvas.palette.land)


_NEBULAE: tuple[tuple[Colour, Colour], ...] = (
    ((226, 70, 130), (64, 90, 220)),
    ((240, 140, 70), (70, 60, 190)),
    ((60, 200, 190), (140, 60, 200)),
)


def paint_space(canvas: Canvas) -> None:
    canvas.picture.paste((5, 6, 18), (0, 0, canvas.width, canvas.height))
    first, second = canvas.rng.choice(_NEBULAE)
    _paint_nebula(canvas, second, 60)
    _paint_nebula(canvas, first, 90)
    _paint_space_stars(canvas)
    _paint_planet(canvas, first, second)


def _paint_nebula(canvas: Canvas, colour: Colour, threshold: int) -> None:
    small = (canvas.width // 2, canvas.height // 2)
    gas = ImageChops.multiply(
        apply_threshold(draw_cloud_noise(canvas.rng, small, (3, 3), 6), threshold, 130),
        draw_noise(canvas.rng, small, (3, 3)),
    )
    mask = gas.resize(canvas.picture.size)
    canvas.fill(fade_mask(mask, 0.85), colour)
    canvas.fill(fade_mask(apply_threshold(mask, 140, 160), 0.5), mix(colour, (255, 244, 230), 0.7))


def _paint_space_stars(canvas: Canvas) -> None:
    rng, pen = canvas.rng, ImageDraw.Draw(canvas.picture)
    for _ in range(900):
        x, y, bright = rng.random() * canvas.width, rng.random() * canvas.height, rng.random() ** 4
        tint = mix((170, 196, 255), (255, 232, 206), rng.random())
        size = canvas.unit * (0.4 + 1.3 * bright)
        pen.ellipse((x - size, y - size, x + size, y + size), fill=mix((40, 44, 70), tint, 0.3 + 0.7 * bright))
        if bright > 0.75:
            paint_glow(canvas, (x, y), 20 * canvas.unit, tint, 0.7, 3)


def _paint_planet(canvas: Canvas, first: Colour, second: Colour) -> None:
    rng, radius = canvas.rng, int(canvas.unit * canvas.rng.uniform(140, 185))
    centre = (int(canvas.width * rng.uniform(0.42, 0.58)), int(canvas.height * rng.uniform(0.44, 0.6)))
    paint_glow(canvas, centre, radius * 1.7, mix(second, (255, 255, 255), 0.3), 0.55, 2)
    ring = _make_ring(radius, rng.uniform(-28, 28))
    middle = ring.height // 2
    corner = (centre[0] - ring.width // 2, centre[1] - middle)
    sand = mix(first, (255, 240, 214), 0.6)
    canvas.picture.paste(sand, (*corner, corner[0] + ring.width, corner[1] + ring.height), ring)
    canvas.picture.paste(
        _make_ball(canvas, radius, first, second), (centre[0] - radius, centre[1] - radius), _make_planet_mask(radius)
    )
    front = ring.copy()
    front.paste(0, (0, 0, ring.width, middle))
    canvas.picture.paste(sand, (*corner, corner[0] + ring.width, corner[1] + ring.height), front)


def _make_planet_mask(radius: int) -> Image.Image:
    mask = Image.new("L", (radius * 4, radius * 4))
    ImageDraw.Draw(mask).ellipse((2, 2, radius * 4 - 3, radius * 4 - 3), fill=255)
    return mask.reduce(2)


def _make_ball(canvas: Canvas, radius: int, first: Colour, second: Colour) -> Image.Image:
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


def _make_ring(radius: int, tilt_degrees: float) -> Image.Image:
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
