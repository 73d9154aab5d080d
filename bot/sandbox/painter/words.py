"""What the words of a prompt ask for: an hour, a weather, a place, subjects. The seed decides what they leave open."""

import hashlib
import random
import re
from dataclasses import dataclass

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
    """`rng_seed` is all the randomness there is: equal scenes are painted equal."""

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
    """The choice that most words speak for; the first listed when equal."""
    scores = {name: sum(word in list_.split() for word in words) for name, list_ in choices.items()}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] else None
