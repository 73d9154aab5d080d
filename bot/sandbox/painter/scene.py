"""Scenes from the words of a prompt: hour, weather, place, subjects and palette; the seed decides the rest."""

import hashlib
import random
import re
from dataclasses import dataclass, replace

_HOUR_WORDS = {
    "night": "night midnight moon moonlit moonlight stars starry star nocturnal aurora milky",
    "dusk": "dusk twilight evening blue-hour neon cyberpunk halloween spooky",
    "sunset": "sunset golden warm autumn fall sundown romantic",
    "dawn": "dawn sunrise morning misty pastel early spring dreamy",
    "day": "day noon midday sunny bright summer afternoon daylight",
}
_WEATHER_WORDS = {
    "snow": "snow snowy snowing winter ice icy blizzard frozen christmas arctic",
    "rain": "rain rainy raining storm stormy thunder drizzle wet thunderstorm",
    "fog": "fog foggy mist misty haze hazy smoke smoky",
    "clouds": "cloud clouds cloudy overcast dramatic",
    "clear": "clear sunny starry cloudless bright",
}
_PLACE_WORDS = {
    "space": "space galaxy planet nebula cosmos universe astronaut spaceship rocket saturn orbit alien",
    "city": "city skyline street town skyscraper skyscrapers urban downtown tokyo york cyberpunk neon robot car",
    "desert": "desert dune dunes sand sahara cactus camel pyramid pyramids canyon mars",
    "sea": (
        "sea ocean beach coast lighthouse boat ship sail sailboat island harbour harbor wave waves bay pirate whale "
        "dolphin shore port"
    ),
    "lake": "lake river pond reflection reflections fjord loch canoe swan",
    "forest": "forest wood woods tree trees pine pines jungle fox deer wolf bear owl mushroom fairy elf rabbit",
    "mountains": "mountain mountains alps peak peaks summit dragon glacier snow hike himalaya eagle volcano llama goat",
    "meadow": "meadow field fields hill hills flower flowers garden farm horse cow sheep village cottage balloon dog",
}
_SUBJECT_WORDS = {
    "lighthouse": "lighthouse lighthouses",
    "boat": "boat sailboat ship sail yacht sailing pirate",
    "fox": "fox foxes",
    "cat": "cat kitten cats",
    "wolf": "wolf wolves",
    "dog": "dog puppy corgi shiba dogs",
    "birds": "bird birds seagull seagulls gulls eagle crow crows geese dragon",
    "cabin": "cabin house hut cottage home village farm lodge",
    "castle": "castle palace fortress tower fairytale kingdom",
    "balloon": "balloon balloons",
    "tree": "oak tree bonsai willow cherry blossom",
    "pyramid": "pyramid pyramids egypt",
    "cactus": "cactus cacti saguaro",
    "aurora": "aurora northern borealis polar",
    "flowers": "flower flowers tulip poppy poppies lavender sunflower meadow spring rose roses",
    "island": "island islands",
}


@dataclass(frozen=True)
class Scene:
    """`rng_seed` is the only source of randomness: equal scenes are painted equal."""

    hour: str
    weather: str
    place: str
    subjects: frozenset[str]
    is_autumn: bool
    rng_seed: int


def read_scene(prompt: str, seed: int) -> Scene:
    digest = hashlib.blake2b(f"{seed}\n{prompt}".encode(), digest_size=16).digest()
    rng = random.Random(digest)  # noqa: S311 - pictures, not secrets
    words = re.findall(r"[\w-]+", prompt.lower())
    place = _choose(_PLACE_WORDS, words) or rng.choice(
        ("sea", "lake", "forest", "mountains", "meadow", "mountains", "lake")
    )
    return Scene(
        hour=_choose(_HOUR_WORDS, words) or rng.choice(("dawn", "day", "sunset", "sunset", "dusk", "night", "day")),
        weather=_choose(_WEATHER_WORDS, words) or rng.choice(("clear", "clouds", "clouds", "fog")),
        place=place,
        subjects=frozenset(name for name, list_ in _SUBJECT_WORDS.items() if not set(list_.split()).isdisjoint(words)),
        is_autumn=not {"autumn", "fall", "october", "maple"}.isdisjoint(words),
        rng_seed=rng.getrandbits(64),
    )


def _choose(choices: dict[str, str], words: list[str]) -> str | None:
    """Return the choice with most matching words; the first listed for equal counts."""
    scores = {name: sum(word in list_.split() for word in words) for name, list_ in choices.items()}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] else None


Colour = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """`sky` runs from the zenith to the horizon; `land` is the nearest ground and fades into `haze` far away."""

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
