"""What falls or drifts between the viewer and the scene, and the last touch of light."""

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from bot.sandbox.painter.brush import Canvas, apply_threshold, draw_cloud_noise, draw_ramp, fade_mask
from bot.sandbox.painter.words import Scene


def paint_weather(canvas: Canvas, scene: Scene) -> None:
    if scene.weather == "fog":
        _fog(canvas)
    elif scene.weather == "rain":
        _rain(canvas)
    elif scene.weather == "snow":
        _snow(canvas)
    _vignette(canvas)


def _fog(canvas: Canvas) -> None:
    size = canvas.picture.size
    small = (size[0] // 4, size[1] // 4)
    drift = apply_threshold(draw_cloud_noise(canvas.rng, small, (3, 6), 4), 30, 330).resize(size)
    low = draw_ramp(size, 0.05, 0.75)
    canvas.fill(fade_mask(ImageChops.multiply(drift, low), 0.8), canvas.palette.haze)


def _rain(canvas: Canvas) -> None:
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


def _snow(canvas: Canvas) -> None:
    rng, size = canvas.rng, canvas.picture.size
    for count, radius, blur, share in ((520, 1.5, 0.4, 0.8), (150, 3.0, 0.9, 0.85), (26, 8.0, 4.0, 0.55)):
        flakes = Image.new("L", size)
        pen = ImageDraw.Draw(flakes)
        for _ in range(count):
            x, y, reach = rng.random() * size[0], rng.random() * size[1], radius * canvas.unit * rng.uniform(0.6, 1.4)
            pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=255)
        canvas.fill(fade_mask(flakes.filter(ImageFilter.BoxBlur(blur * canvas.unit)), share), (250, 252, 255))


def _vignette(canvas: Canvas) -> None:
    """Corners a little darker, as a lens leaves them."""
    rim = Image.radial_gradient("L").resize(canvas.picture.size, Image.Resampling.BILINEAR)
    canvas.fill(fade_mask(apply_threshold(rim, 120, 200), 0.42), canvas.palette.land)
