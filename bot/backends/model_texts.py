"""Finds the text in a model's output, and the timed passages in a transcript.

Models on Replicate and on Cog's server write a text as text, list or object, and passages as segments, chunks or words:

- openai/whisper: `segments[] {start, end, text}`, beside the whole text;
- vaibhavs10/incredibly-fast-whisper: `chunks[] {timestamp: [start, end], text}`; the last end may be null;
- elevenlabs/scribe: `words[] {start, end, text, type, speaker_id}`, and no whole text.
"""

from collections.abc import Iterator, Mapping, Sequence

from bot.core.json import JSON, get_objects, get_text
from bot.core.text import mend_text
from bot.core.transcripts import Passage

# The fields in which models put an answer, the likeliest first; lists of choices and messages lead to such fields.
_TEXT_KEYS = (
    *("text", "output", "answer", "caption", "transcription", "translation", "result", "results", "generated_text"),
    *("response", "content", "message", "completion", "output_text", "delta", "choices", "parts", "candidates", "data"),
)
_TEXT_KEYS_SET = frozenset(_TEXT_KEYS)
_THOUGHT_KEYS = frozenset(
    ["reasoning", "reasoning_content", "reasoning_details", "thinking", "thinking_blocks", "thought", "thoughts"]
)
_THOUGHT_TYPES = frozenset(["reasoning", "thinking", "redacted_thinking", "thought"])
# Fields about the answer, which are no answer.
_FACT_KEYS = frozenset(
    [
        *("id", "object", "created", "model", "usage", "index", "finish_reason", "stop_reason", "role", "type", "name"),
        *("logprobs", "system_fingerprint", "metrics", "status", "refusal", "annotations", "tool_calls", "signature"),
    ]
)


def extract_text(output: JSON) -> str:
    """Return the text of an output. Language models return a list of pieces, joined without a separator."""
    if isinstance(output, str):
        return output
    if isinstance(output, list):
        return "".join(extract_text(item) for item in output)
    if isinstance(output, dict):
        return _extract_text_of_object(output)
    return "" if output is None or isinstance(output, bool) else str(output)


def _extract_text_of_object(output: Mapping[str, JSON]) -> str:
    """Return the text in the field for an answer, else of every other field; thoughts are left out."""
    if output.get("type") in _THOUGHT_TYPES or output.get("thought") is True:
        return ""
    if not _TEXT_KEYS_SET.isdisjoint(output):
        return next((text for name in _TEXT_KEYS if (text := extract_text(output.get(name)))), "")
    others = {name: value for name, value in output.items() if name not in _THOUGHT_KEYS | _FACT_KEYS}
    texts = {name: text for name, value in others.items() if (text := extract_text(value))}
    return "\n".join([f"{name}: {text}" for name, text in texts.items()] if len(texts) > 1 else texts.values())


def strip_prefix(text: str, prefixes: Sequence[str]) -> str:
    """Return the text without the longest of its prefixes (BLIP begins a caption with "Caption: ")."""
    found = max((prefix for prefix in prefixes if text.startswith(prefix)), key=len, default="")
    return text[len(found) :]


# Transcripts.

_MAX_PASSAGES = 20_000
_MAX_SECONDS = 100 * 3_600.0
_MAX_PASSAGE_CHARACTERS, _MAX_PASSAGE_SECONDS = 90, 7.0
_PAUSE_SECONDS = 0.8
_UNKNOWN_LENGTH_SECONDS = 2.0


def read_passages(output: JSON) -> tuple[Passage, ...]:
    """Return the passages of a transcript, in order; empty for an output without times."""
    for name in ("segments", "chunks"):
        passages = [passage for item in get_objects(output, name)[:_MAX_PASSAGES] for passage in _read_passage(item)]
        if passages:
            return tuple(passages)
    words = [word for item in get_objects(output, "words") for word in _read_passage(item)]
    return tuple(_join_words(words))[:_MAX_PASSAGES]


def _read_passage(item: dict[str, JSON]) -> Iterator[Passage]:
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
            yield _join_passage(line)
            line = []
        line.append(word)
    if line:
        yield _join_passage(line)


def _begins_line(line: list[Passage], word: Passage) -> bool:
    characters = sum(len(other.text) + 1 for other in line)
    return (
        word.speaker != line[0].speaker
        or word.start_seconds - line[-1].end_seconds >= _PAUSE_SECONDS
        or word.end_seconds - line[0].start_seconds > _MAX_PASSAGE_SECONDS
        or characters + len(word.text) > _MAX_PASSAGE_CHARACTERS
    )


def _join_passage(line: list[Passage]) -> Passage:
    text = " ".join(word.text for word in line)
    return Passage(line[0].start_seconds, line[-1].end_seconds, text, line[0].speaker)
