"""A band by rules: a chord sequence with bass and melody. Words choose key, tempo and timbre; the seed the notes."""

import math
import random
import re
from array import array
from dataclasses import dataclass
from functools import lru_cache

from bot.sandbox.sound.wav import FULL_SCALE, SAMPLE_RATE, Samples

_MINOR_WORDS = "sad dark minor melancholy night rain lonely tragic gothic tense ambient blue winter"
_SLOW_WORDS = "slow calm ambient lullaby ballad relaxing sleep soft gentle meditation"
_FAST_WORDS = "fast upbeat dance techno rock punk energetic happy disco run party"
_TIMBRES = {
    "bells": ((1.0, 0.0, 0.4, 0.0, 0.25), 5.0),
    "strings": ((1.0, 0.6, 0.45, 0.3, 0.2), 0.6),
    "organ": ((1.0, 0.8, 0.0, 0.5, 0.0), 0.2),
    "piano": ((1.0, 0.5, 0.25, 0.12, 0.06), 2.8),
}
"""The strengths of the harmonics, and the decay in 1/second."""
_MAJOR, _MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
_SEQUENCES = ((0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 0), (5, 3, 0, 4))
_LOUDNESS = 0.8
_PITCH_CLASSES = 12


@dataclass(frozen=True)
class _Style:
    scale: tuple[int, ...]
    beat_seconds: float
    timbre: str
    root: int
    """The lowest note, as a MIDI number."""


def play(prompt: str, seed: int, seconds: float) -> Samples:
    """Return the samples of a piece: equal words, seeds and lengths give equal samples."""
    rng = random.Random(f"{seed}\n{prompt}")  # noqa: S311 - sounds, not secrets
    style = _choose_style(prompt, rng)
    mixed = [0.0] * int(seconds * SAMPLE_RATE)
    sequence = rng.choice(_SEQUENCES)
    beats = int(seconds / style.beat_seconds) + 1
    for beat in range(beats):
        chord = sequence[beat // 4 % len(sequence)]
        at = int(beat * style.beat_seconds * SAMPLE_RATE)
        if beat % 4 == 0:
            for step in (0, 2, 4):
                _add(mixed, at, style, chord + step, 4 * style.beat_seconds, 0.35)
        if beat % 2 == 0:
            _add(mixed, at, style, chord - 7, 2 * style.beat_seconds, 0.6)
        if rng.random() < 0.8:
            _add(mixed, at, style, 7 + chord + rng.choice((0, 1, 2, 4, 5)), style.beat_seconds, 0.5)
    return _finish(mixed)


def _choose_style(prompt: str, rng: random.Random) -> _Style:
    words = set(re.findall(r"\w+", prompt.lower()))
    tempo = 66 if words & set(_SLOW_WORDS.split()) else 138 if words & set(_FAST_WORDS.split()) else 100
    timbre = next((name for name in _TIMBRES if words & {name, name.rstrip("s")}), "piano")
    scale = _MINOR if words & set(_MINOR_WORDS.split()) else _MAJOR
    return _Style(scale, 60 / tempo, timbre, 48 + rng.randrange(_PITCH_CLASSES))


def _add(mixed: list[float], at: int, style: _Style, degree: int, seconds: float, loudness: float) -> None:
    octave, step = divmod(degree, len(style.scale))
    note = style.root + 12 * octave + style.scale[step]
    for place, value in enumerate(_make_note(note, style.timbre, round(seconds, 3))[: len(mixed) - at], at):
        mixed[place] += value * loudness


@lru_cache(maxsize=128)
def _make_note(note: int, timbre: str, seconds: float) -> "array[float]":
    harmonics, decay = _TIMBRES[timbre]
    turn = 2 * math.pi * 440 * 2 ** ((note - 69) / 12) / SAMPLE_RATE
    count = int(seconds * SAMPLE_RATE)
    fade = SAMPLE_RATE // 100
    heard = [(n, strength) for n, strength in enumerate(harmonics, 1) if strength and turn * n < math.pi]
    return array(
        "f",
        (
            sum(strength * math.sin(turn * n * place) for n, strength in heard)
            * math.exp(-decay * place / SAMPLE_RATE)
            * min(1.0, place / fade, (count - place) / fade)
            for place in range(count)
        ),
    )


def _finish(mixed: list[float]) -> Samples:
    peak = max((abs(value) for value in mixed), default=0.0) or 1.0
    scale = _LOUDNESS * FULL_SCALE / peak
    fade = SAMPLE_RATE // 2
    count = len(mixed)
    return array("h", (int(value * scale * min(1.0, (count - place) / fade)) for place, value in enumerate(mixed)))
