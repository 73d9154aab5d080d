"""Transcripts: timed passages of a recording, as a text with speakers and as a file of subtitles (SRT)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

LONG_TRANSCRIPT_SECONDS = 60.0
"""A longer recording gets a file of subtitles beside the text."""


@dataclass(frozen=True, slots=True)
class Passage:
    """Words said from `start_seconds` to `end_seconds`. `speaker` is the model's name of a voice, or empty."""

    start_seconds: float
    end_seconds: float
    text: str
    speaker: str = ""


def format_transcript(passages: Sequence[Passage]) -> str:
    """Return the words: a paragraph for each turn of a speaker where several speak, else one text."""
    numbers = _number_speakers(passages)
    if len(numbers) < 2:
        return " ".join(passage.text for passage in passages)
    turns: list[tuple[str, list[str]]] = []
    for passage in passages:
        if not turns or turns[-1][0] != passage.speaker:
            turns.append((passage.speaker, []))
        turns[-1][1].append(passage.text)
    return "\n\n".join(f"Speaker {numbers[speaker]}: {' '.join(texts)}" for speaker, texts in turns)


def format_srt(passages: Sequence[Passage]) -> str:
    """Return the passages as SubRip subtitles, with the speakers where several speak."""
    numbers = _number_speakers(passages)
    return "\n".join(_format_cues(passages, numbers if len(numbers) > 1 else {}))


def _format_cues(passages: Sequence[Passage], numbers: dict[str, int]) -> Iterator[str]:
    for n, passage in enumerate(passages, 1):
        speaker = f"Speaker {numbers[passage.speaker]}: " if passage.speaker in numbers else ""
        start, end = _format_time(passage.start_seconds), _format_time(passage.end_seconds)
        # An arrow within the words would look like another line of times.
        yield f"{n}\n{start} --> {end}\n{speaker}{passage.text.replace('-->', '→')}\n"


def _number_speakers(passages: Sequence[Passage]) -> dict[str, int]:
    """Return the number of each speaker, from 1, by the first words."""
    names = dict.fromkeys(passage.speaker for passage in passages if passage.speaker)
    return {name: number for number, name in enumerate(names, 1)}


def _format_time(seconds: float) -> str:
    whole = round(seconds * 1000)
    return f"{whole // 3_600_000:02}:{whole // 60_000 % 60:02}:{whole // 1000 % 60:02},{whole % 1000:03}"
