"""The colours of an hour and a weather."""

from dataclasses import dataclass, replace

from bot.sandbox.painter.words import Scene

Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """`sky` runs from the zenith to the horizon; `land` is the nearest ground, which fades into `haze` far away."""

    sky: tuple[Colour, ...]
    light: Colour
    haze: Colour
    land: Colour
    water: Colour
    cloud: Colour
    cloud_shadow: Colour
    window: Colour
    is_dark: bool = False


_HOURS = {
    "dawn": Palette(
        sky=((74, 92, 152), (150, 132, 178), (232, 160, 158), (255, 214, 172)),
        light=(255, 226, 176),
        haze=(240, 196, 180),
        land=(44, 50, 66),
        water=(70, 86, 128),
        cloud=(255, 214, 200),
        cloud_shadow=(150, 124, 160),
        window=(255, 214, 140),
    ),
    "day": Palette(
        sky=((28, 96, 186), (72, 148, 220), (140, 196, 236), (222, 238, 244)),
        light=(255, 250, 230),
        haze=(190, 214, 230),
        land=(36, 78, 48),
        water=(24, 92, 140),
        cloud=(255, 255, 255),
        cloud_shadow=(168, 188, 212),
        window=(206, 226, 240),
    ),
    "sunset": Palette(
        sky=((44, 46, 104), (132, 66, 116), (236, 110, 84), (255, 206, 118)),
        light=(255, 226, 150),
        haze=(244, 150, 104),
        land=(36, 24, 42),
        water=(84, 48, 84),
        cloud=(255, 178, 124),
        cloud_shadow=(118, 64, 106),
        window=(255, 206, 120),
    ),
    "dusk": Palette(
        sky=((14, 18, 52), (44, 42, 100), (128, 74, 132), (246, 150, 122)),
        light=(255, 206, 170),
        haze=(122, 82, 130),
        land=(14, 14, 32),
        water=(34, 32, 76),
        cloud=(206, 118, 142),
        cloud_shadow=(52, 44, 92),
        window=(255, 198, 110),
        is_dark=True,
    ),
    "night": Palette(
        sky=((4, 7, 24), (9, 20, 52), (18, 42, 84), (44, 78, 118)),
        light=(236, 242, 255),
        haze=(38, 64, 100),
        land=(5, 9, 20),
        water=(10, 24, 54),
        cloud=(92, 112, 150),
        cloud_shadow=(16, 28, 58),
        window=(255, 204, 116),
        is_dark=True,
    ),
}


def choose_palette(scene: Scene) -> Palette:
    palette = _HOURS[scene.hour]
    grey = {"rain": 0.72, "fog": 0.35, "snow": 0.25}.get(scene.weather, 0.0)
    if not grey:
        return palette
    day = (128, 140, 152) if scene.weather == "rain" else (196, 204, 212)
    veil = mix(palette.haze, day if not palette.is_dark else (44, 52, 70), 0.6)
    return replace(
        palette,
        sky=tuple(mix(colour, veil, grey) for colour in palette.sky),
        haze=mix(palette.haze, veil, grey),
        cloud=mix(palette.cloud, veil, grey),
        cloud_shadow=mix(palette.cloud_shadow, (70, 76, 92) if not palette.is_dark else (16, 20, 34), grey),
    )


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` 0 is the first colour, 1 the second."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue
