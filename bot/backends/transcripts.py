"""Finds the timed passages in a transcript. Models write segments, chunks or single words, each in an own form:

- openai/whisper: `segments[] {start, end, text}`, beside the whole text;
- vaibhavs10/incredibly-fast-whisper: `chunks[] {timestamp: [start, end], text}`; the last end may be null;
- elevenlabs/scribe: `words[] {start, end, text, type, speaker_id}`, and no whole text.
"""

from collections.abc import Iterator

from bot.core.json import JSON, get_objects, get_text
from bot.core.text import mend_text
from bot.core.transcripts import Passage

_MAX_PASSAGES = 20_000
_MAX_SECONDS = 100 * 3_600.0
_MAX_PASSAGE_CHARACTERS, _MAX_PASSAGE_SECONDS = 90, 7.0
_PAUSE_SECONDS = 0.8
_UNKNOWN_LENGTH_SECONDS = 2.0


def read_passages(output: JSON) -> tuple[Passage, ...]:
    """Return the passages of a transcript, in order; empty for an output without times."""
    for name in ("segments", "chunks"):
        passages = [passage for item in get_objects(output, name)[:_MAX_PASSAGES] for passage in _read(item)]
        if passages:
            return tuple(passages)
    words = [word for item in get_objects(output, "words") for word in _read(item)]
    return tuple(_join_words(words))[:_MAX_PASSAGES]


def _read(item: dict[str, JSON]) -> Iterator[Passage]:
    """Yield the passage of one entry; nothing for an entry without words or with impossible times."""
    times = item.get("timestamp")
    pair = times if isinstance(times, list) and len(times) == 2 else [item.get("start"), item.get("end")]
    start, end = map(_get_seconds, pair)
    text = " ".join(mend_text(get_text(item, "text") or get_text(item, "word")).split())
    if not text or start is None:
        return
    until = end if end is not None and end >= start else start + _UNKNOWN_LENGTH_SECONDS
    yield Passage(start, until, text, get_text(item, "speaker_id") or get_text(item, "speaker"))


def _get_seconds(value: JSON) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value <= _MAX_SECONDS else None


def _join_words(words: list[Passage]) -> Iterator[Passage]:
    """Yield lines of words: a pause, another speaker or the end of a long line begins the next."""
    line: list[Passage] = []
    for word in words:
        if line and _begins_line(line, word):
            yield _join(line)
            line = []
        line.append(word)
    if line:
        yield _join(line)


def _begins_line(line: list[Passage], word: Passage) -> bool:
    characters = sum(len(other.text) + 1 for other in line)
    return (
        word.speaker != line[0].speaker
        or word.start_seconds - line[-1].end_seconds >= _PAUSE_SECONDS
        or word.end_seconds - line[0].start_seconds > _MAX_PASSAGE_SECONDS
        or characters + len(word.text) > _MAX_PASSAGE_CHARACTERS
    )


def _join(line: list[Passage]) -> Passage:
    text = " ".join(word.text for word in line)
    return Passage(line[0].start_seconds, line[-1].end_seconds, text, line[0].speaker)
