"""The composition of a scene: the place of horizon and light, and the order from back to front."""

import random

from PIL import Image

from bot.sandbox.painter import landscapes, subjects, water
from bot.sandbox.painter.brush import Canvas
from bot.sandbox.painter.scene import Scene, choose_palette
from bot.sandbox.painter.sky import paint_sky, paint_space, paint_weather
from bot.sandbox.painter.water import paint_water

_HORIZONS = {"sea": 0.58, "lake": 0.60, "city": 0.74, "desert": 0.60, "forest": 0.56, "mountains": 0.70, "meadow": 0.60}
_LIGHT_HEIGHTS = {
    "day": (0.14, 0.30),
    "dawn": (0.68, 0.84),
    "sunset": (0.70, 0.88),
    "dusk": (0.86, 0.96),
    "night": (0.18, 0.40),
}


def paint(scene: Scene, size: tuple[int, int]) -> Image.Image:
    """Paint a scene in RGB; equal scenes and sizes give equal pixels."""
    rng = random.Random(scene.rng_seed)  # noqa: S311 - pictures, not secrets
    horizon = int(size[1] * (_HORIZONS.get(scene.place, 0.6) + rng.uniform(-0.03, 0.03)))
    low, high = _LIGHT_HEIGHTS[scene.hour]
    light_x = rng.choice((rng.uniform(0.22, 0.42), rng.uniform(0.58, 0.78)))
    light = (int(size[0] * light_x), int(horizon * rng.uniform(low, high)))
    canvas = Canvas(Image.new("RGB", size), rng, choose_palette(scene), horizon, light)
    if scene.place == "space":
        paint_space(canvas)
        return canvas.picture
    paint_sky(canvas, scene)
    if "castle" in scene.subjects and scene.place in ("mountains", "meadow", "forest"):
        landscapes.paint_mountains(canvas, scene, layers=3, scale=1.2)
        x = canvas.width * (0.36 if canvas.light[0] > canvas.width / 2 else 0.64)
        foot = landscapes.paint_mound(canvas, x, canvas.horizon - canvas.height * 0.12)
        subjects.paint_castle(canvas, x, foot, canvas.height * 0.24)
        landscapes.paint_forest(canvas, scene, layers=3, top=canvas.horizon - int(canvas.height * 0.06))
        paint_weather(canvas, scene)
        return canvas.picture
    _PLACES[scene.place](canvas, scene)
    _paint_common_subjects(canvas, scene)
    paint_weather(canvas, scene)
    return canvas.picture


def _compose_sea(canvas: Canvas, scene: Scene) -> None:
    if "island" in scene.subjects or canvas.rng.random() < 0.55:
        landscapes.paint_mountains(canvas, scene, layers=2, scale=0.42)
    paint_water(canvas, waves=0.75)
    _place_boat(canvas, scene)
    side = -1 if canvas.light[0] > canvas.width / 2 else 1
    if "lighthouse" in scene.subjects:
        top = canvas.horizon + canvas.height * 0.10
        x = landscapes.paint_headland(canvas, side, top, 0.52)
        water.paint_lighthouse(canvas, x, top + canvas.height * 0.015)
    elif "boat" not in scene.subjects:
        landscapes.paint_headland(canvas, side, canvas.horizon + canvas.height * 0.16, 0.42)


def _compose_lake(canvas: Canvas, scene: Scene) -> None:
    landscapes.paint_mountains(canvas, scene, layers=3, scale=1.05)
    landscapes.paint_forest(canvas, scene, layers=1, top=canvas.horizon - int(canvas.height * 0.035))
    paint_water(canvas, waves=0.12)
    _place_boat(canvas, scene)


def _place_boat(canvas: Canvas, scene: Scene) -> None:
    if "boat" in scene.subjects:
        x = canvas.width * (0.36 if canvas.light[0] > canvas.width / 2 else 0.64)
        water.paint_boat(canvas, x, canvas.horizon + canvas.height * 0.12, canvas.height * 0.24)


def _compose_mountains(canvas: Canvas, scene: Scene) -> None:
    landscapes.paint_mountains(canvas, scene, layers=4, scale=1.35)
    landscapes.paint_forest(canvas, scene, layers=2, top=canvas.horizon + int(canvas.height * 0.05))


def _compose_forest(canvas: Canvas, scene: Scene) -> None:
    landscapes.paint_mountains(canvas, scene, layers=2, scale=0.8)
    landscapes.paint_forest(canvas, scene, layers=4)
    if _has_animal(scene) or "cabin" in scene.subjects:
        landscapes.paint_hills(canvas, scene, layers=1, top=int(canvas.height * 0.80))


def _compose_meadow(canvas: Canvas, scene: Scene) -> None:
    landscapes.paint_mountains(canvas, scene, layers=2, scale=0.6)
    landscapes.paint_hills(canvas, scene)
    if "flowers" in scene.subjects and scene.weather != "snow":
        landscapes.paint_flowers(canvas, scene)


def _compose_desert(canvas: Canvas, scene: Scene) -> None:
    landscapes.paint_mountains(canvas, scene, layers=2, scale=0.35)
    if "pyramid" in scene.subjects:
        landscapes.paint_pyramids(canvas)
    landscapes.paint_dunes(canvas, scene)
    if "cactus" in scene.subjects:
        for x, foot, tall in ((0.24, 0.90, 0.30), (0.72, 0.80, 0.15)):
            landscapes.paint_cactus(canvas, canvas.width * x, canvas.height * foot, canvas.height * tall)


def _compose_city(canvas: Canvas, scene: Scene) -> None:
    landscapes.paint_mountains(canvas, scene, layers=1, scale=0.5)
    subjects.paint_city(canvas, scene, canvas.horizon)
    paint_water(canvas, waves=0.3)


_PLACES = {
    "sea": _compose_sea,
    "lake": _compose_lake,
    "mountains": _compose_mountains,
    "forest": _compose_forest,
    "meadow": _compose_meadow,
    "desert": _compose_desert,
    "city": _compose_city,
}


def _paint_common_subjects(canvas: Canvas, scene: Scene) -> None:
    """Paint the subjects that fit any place."""
    on_land = scene.place not in ("sea", "lake", "city")
    away = 0.34 if canvas.light[0] > canvas.width / 2 else 0.66
    if "tree" in scene.subjects and on_land:
        leaves = (206, 104, 36) if scene.is_autumn else (238, 168, 190) if scene.hour == "dawn" else (84, 130, 56)
        landscapes.paint_tree(canvas, canvas.width * away, canvas.height * 0.88, canvas.height * 0.5, leaves=leaves)
    if "cabin" in scene.subjects and on_land:
        subjects.paint_cabin(canvas, canvas.width * (1 - away), canvas.height * 0.86, canvas.height * 0.20)
    if "balloon" in scene.subjects:
        for x, y, radius in ((away, 0.30, 0.085), (1 - away, 0.20, 0.045), (0.5, 0.44, 0.028)):
            subjects.paint_balloon(canvas, canvas.width * x, canvas.height * y, canvas.height * radius)
    if "birds" in scene.subjects or (scene.hour != "night" and canvas.rng.random() < 0.3):
        subjects.paint_birds(canvas)
    for kind in _list_animals(scene):
        subjects.paint_animal(canvas, kind, canvas.width * away, canvas.height * 0.93, canvas.height * 0.40)


def _list_animals(scene: Scene) -> list[str]:
    return sorted(scene.subjects & subjects.COATS.keys())[:1]


def _has_animal(scene: Scene) -> bool:
    return bool(_list_animals(scene))
