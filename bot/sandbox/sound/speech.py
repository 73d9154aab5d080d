"""A speaker by rules: each letter is a short sound of two formants or of noise. The words are audible, hardly clear.

A formant is a resonance of the mouth (Peterson and Barney, 1952): here one resonator each, on a pulse for the voice.
"""

import math
import random
from array import array
from functools import lru_cache

from bot.sandbox.sound.wav import FULL_SCALE, SAMPLE_RATE, Samples

_VOWELS = {
    "a": (730, 1090),
    "e": (530, 1840),
    "i": (270, 2290),
    "o": (570, 840),
    "u": (300, 870),
    "y": (300, 2000),
}
_HISSES = {"s": 4_500, "z": 4_000, "f": 3_000, "v": 2_500, "x": 3_500, "h": 1_500, "c": 3_800, "j": 2_800}
_BURSTS = {"p": 900, "t": 3_000, "k": 1_800, "b": 700, "d": 2_200, "g": 1_500, "q": 1_700}
_HUMS = {"m": (250, 1_000), "n": (250, 1_400), "l": (350, 1_200), "r": (400, 1_300), "w": (300, 700)}
_FORMANTS = {**_VOWELS, **_HUMS}
_PAUSES_SECONDS = {" ": 0.06, ",": 0.2, ";": 0.25, ":": 0.25, ".": 0.4, "!": 0.4, "?": 0.4, "\n": 0.45}
_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_LETTER_SECONDS = 0.075
_VOWEL_SECONDS = 0.11
_FALL = 0.94
"""The pitch of a sentence falls by this factor to its end, and rises for a question."""
_PITCH_STEPS = 4


def speak(text: str, *, pitch_hz: float = 120.0, speed: float = 1.0) -> Samples:
    """Return the samples of a text. A letter of any script has a sound; `speed` is from 0.5 to 2."""
    speed = min(2.0, max(0.5, speed))
    samples = array("h", bytes(2 * int(SAMPLE_RATE * 0.05)))
    for sentence in _split_sentences(_spell_digits(text.lower())):
        rise = 1 / _FALL if sentence.rstrip().endswith("?") else _FALL
        for place, letter in enumerate(sentence):
            step = place * _PITCH_STEPS // max(1, len(sentence))
            samples.extend(_make_sound(letter, round(pitch_hz * rise**step), round(speed, 1)))
    samples.extend(bytes(2 * int(SAMPLE_RATE * 0.05)))
    return samples


def choose_pitch(voice: str) -> float:
    """Return a pitch in Hz for the name of a voice: the same name gives the same pitch."""
    rng = random.Random(voice)  # noqa: S311 - sounds, not secrets
    return rng.choice((95.0, 110.0, 125.0, 150.0, 180.0, 205.0, 230.0))


def _spell_digits(text: str) -> str:
    return "".join(f" {_DIGITS[int(sign)]} " if sign in "0123456789" else sign for sign in text)


def _split_sentences(text: str) -> list[str]:
    sentences, start = [], 0
    for place, sign in enumerate(text, 1):
        if sign in ".!?\n":
            sentences.append(text[start:place])
            start = place
    return [*sentences, text[start:]]


@lru_cache(maxsize=512)
def _make_sound(letter: str, pitch_hz: int, speed: float) -> Samples:
    if letter in _PAUSES_SECONDS or not letter.isalpha():
        return array("h", bytes(2 * int(SAMPLE_RATE * _PAUSES_SECONDS.get(letter, 0.03) / speed)))
    letter = _find_similar(letter)
    seconds = (_VOWEL_SECONDS if letter in _VOWELS else _LETTER_SECONDS) / speed
    count = int(SAMPLE_RATE * seconds)
    if letter in _FORMANTS:
        loudness = 0.5 if letter in _VOWELS else 0.3
        raw = _resonate(_make_pulses(count, pitch_hz), _FORMANTS[letter])
    else:
        loudness = 0.16 if letter in _HISSES else 0.3
        raw = _resonate(_make_noise(count, letter), (_HISSES.get(letter) or _BURSTS.get(letter, 2_000), 5_500))
        if letter in _BURSTS:
            raw = [value * math.exp(-12.0 * place / count) for place, value in enumerate(raw)]
    return _shape(raw, loudness)


def _find_similar(letter: str) -> str:
    """Return a letter with a rule: of another script, one that its number chooses."""
    known = "aeioumnlrwsftkbdg"
    return letter if letter in _FORMANTS or letter in _HISSES or letter in _BURSTS else known[ord(letter[0]) % 17]


def _make_pulses(count: int, pitch_hz: int) -> list[float]:
    period = SAMPLE_RATE / pitch_hz
    return [1.0 - 2.0 * ((place % period) / period) for place in range(count)]


def _make_noise(count: int, letter: str) -> list[float]:
    rng = random.Random(letter)  # noqa: S311 - sounds, not secrets
    return [rng.uniform(-1.0, 1.0) for _ in range(count)]


def _resonate(source: list[float], formants_hz: tuple[int, int]) -> list[float]:
    """Return the sum of two resonators, the second half as loud."""
    first, second = (_filter(source, hz) for hz in formants_hz)
    return [low + 0.5 * high for low, high in zip(first, second, strict=True)]


def _filter(source: list[float], centre_hz: int, width_hz: float = 110.0) -> list[float]:
    """Return a two-pole resonator's output (Klatt 1980, equation 1)."""
    decay = math.exp(-math.pi * width_hz / SAMPLE_RATE)
    b = 2 * decay * math.cos(2 * math.pi * min(centre_hz, SAMPLE_RATE // 2 - 200) / SAMPLE_RATE)
    c = -decay * decay
    a = 1 - b - c
    one = two = 0.0
    out = []
    for value in source:
        one, two = a * value + b * one + c * two, one
        out.append(one)
    return out


def _shape(raw: list[float], loudness: float) -> Samples:
    """Return samples of a given peak, faded in and out: letters join without a click."""
    peak = max(abs(min(raw)), abs(max(raw))) or 1.0
    fade = max(1, len(raw) // 6)
    scale = loudness * FULL_SCALE / peak
    return array(
        "h",
        (int(value * scale * min(1.0, place / fade, (len(raw) - 1 - place) / fade)) for place, value in enumerate(raw)),
    )
