"""WAV files: written from samples, and read into loudness and pauses."""

import io
import math
import sys
import wave
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

SAMPLE_RATE = 16_000
FULL_SCALE = 32_767

Samples: TypeAlias = "array[int]"
"""16-bit samples of one channel."""

_MAX_MEASURED_SECONDS = 3_600
_WINDOW_SECONDS = 0.05
_SILENCE = 0.012
_PAUSE_SECONDS = 0.25


class UnreadableSound(Exception):
    """A file that the sandbox cannot measure; the text is the model's error."""


@dataclass(frozen=True)
class SoundFacts:
    """The measured facts of a recording. `passages` are (start, end) in seconds of the parts that are not silent."""

    seconds: float
    peak: float
    """The loudest sample, from 0 to 1."""
    loudness: float
    """The root mean square of the samples, from 0 to 1."""
    passages: Sequence[tuple[float, float]]


def encode_wav(samples: Samples, rate: int = SAMPLE_RATE) -> bytes:
    """Return a mono WAV file of 16-bit samples."""
    if sys.byteorder == "big":
        samples = array("h", samples)
        samples.byteswap()
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return buffer.getvalue()


def measure_wav(content: bytes) -> SoundFacts:
    """Return the facts of a WAV file of 8 or 16 bits. Raise `UnreadableSound`."""
    try:
        with wave.open(io.BytesIO(content), "rb") as file:
            rate, width, channels = file.getframerate(), file.getsampwidth(), file.getnchannels()
            # A header may claim hours: the bytes that are there count.
            data = file.readframes(min(file.getnframes(), rate * _MAX_MEASURED_SECONDS))
    except (wave.Error, EOFError, ValueError, ZeroDivisionError) as error:
        raise UnreadableSound(f"cannot decode this WAV file: {error}") from error
    if width not in (1, 2) or not rate or not data:
        raise UnreadableSound("cannot decode this WAV file: the sandbox reads 8 and 16 bits, and no empty file")
    return _measure(_read_first_channel(data, width, channels), rate)


def _read_first_channel(data: bytes, width: int, channels: int) -> Samples:
    if width == 1:
        return array("h", ((byte - 128) << 8 for byte in data[::channels]))
    samples = array("h", data[: len(data) // 2 * 2])
    if sys.byteorder == "big":
        samples.byteswap()
    return samples[::channels]


def _measure(samples: Samples, rate: int) -> SoundFacts:
    size = max(1, int(rate * _WINDOW_SECONDS))
    levels = [_get_level(samples[start : start + size]) for start in range(0, len(samples), size)]
    squares = sum(level * level for level in levels) / len(levels)
    peak = max(abs(max(samples)), abs(min(samples))) / FULL_SCALE
    return SoundFacts(len(samples) / rate, min(1.0, peak), math.sqrt(squares), tuple(_find_passages(levels)))


def _get_level(window: Samples) -> float:
    # Every fourth sample tells the loudness of a window as well, in a quarter of the time.
    part = window[::4]
    return math.sqrt(sum(sample * sample for sample in part) / len(part)) / FULL_SCALE


def _find_passages(levels: Sequence[float]) -> Iterator[tuple[float, float]]:
    """Yield the parts above silence; gaps below `_PAUSE_SECONDS` are no pauses."""
    start: float | None = None
    end = 0.0
    for place, level in enumerate(levels):
        if level < _SILENCE:
            continue
        at = place * _WINDOW_SECONDS
        if start is not None and at - end >= _PAUSE_SECONDS:
            yield start, end
            start = None
        start = at if start is None else start
        end = at + _WINDOW_SECONDS
    if start is not None:
        yield start, end
