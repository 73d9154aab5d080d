"""Transcripts as models write them become passages, texts and subtitles; any other JSON becomes none."""

import pytest

from bot.backends.model_texts import read_passages
from bot.core.json import JSON
from bot.core.transcripts import Passage, format_srt, format_transcript

WHISPER: JSON = {
    "transcription": " Hello there. Bye.",
    "segments": [
        {"id": 0, "start": 0.0, "end": 1.5, "text": " Hello there."},
        {"id": 1, "start": 3661.25, "end": 3662, "text": " Bye.\n--> 2"},
    ],
}
FAST: JSON = {
    "text": "One two",
    "chunks": [{"timestamp": [0, 1], "text": "One"}, {"timestamp": [2, None], "text": "two"}],
}


def make_word(start: float, end: float, text: str, speaker: str) -> JSON:
    return {"start": start, "end": end, "text": text, "type": "word", "speaker_id": speaker}


def test_segments_become_subtitles() -> None:
    assert format_srt(read_passages(WHISPER)) == (
        "1\n00:00:00,000 --> 00:00:01,500\nHello there.\n\n2\n01:01:01,250 --> 01:01:02,000\nBye. → 2\n"
    )


def test_a_chunk_without_an_end_has_a_length() -> None:
    assert read_passages(FAST) == (Passage(0, 1, "One"), Passage(2, 4, "two"))


def test_words_become_lines_by_pause_and_speaker() -> None:
    passages = read_passages(
        {
            "language_code": "en",
            "words": [
                make_word(0, 0.4, "Hello", "speaker_0"),
                {"start": 0.4, "end": 0.5, "text": " ", "type": "spacing", "speaker_id": "speaker_0"},
                make_word(0.5, 0.9, "Ben.", "speaker_0"),
                make_word(2.5, 3, "Still", "speaker_0"),
                make_word(3, 3.5, "here?", "speaker_0"),
                make_word(3.6, 4, "Yes.", "speaker_1"),
            ],
        }
    )

    assert [(passage.start_seconds, passage.text) for passage in passages] == [
        (0, "Hello Ben."),
        (2.5, "Still here?"),
        (3.6, "Yes."),
    ]
    assert format_transcript(passages) == "Speaker 1: Hello Ben. Still here?\n\nSpeaker 2: Yes."
    assert "\nSpeaker 2: Yes.\n" in format_srt(passages)


def test_a_long_line_of_words_is_divided() -> None:
    words: list[JSON] = [make_word(n / 10, n / 10 + 0.1, f"word{n}", "") for n in range(100)]

    passages = read_passages({"words": words})

    assert max(len(passage.text) for passage in passages) <= 90
    assert " ".join(passage.text for passage in passages).split() == [f"word{n}" for n in range(100)]


@pytest.mark.parametrize(
    "output",
    [
        None,
        "text",
        {"segments": "none"},
        {"segments": [None, {}, {"text": "x"}, {"start": float("nan"), "text": "x"}, {"start": -1, "text": "x"}]},
        {"chunks": [{"timestamp": [None, None], "text": "x"}, {"timestamp": [1], "text": "x"}]},
        {"words": [{"start": True, "end": 1, "text": "x"}, {"start": 1e300, "text": "x"}]},
    ],
)
def test_other_json_has_no_passages(output: JSON) -> None:
    assert read_passages(output) == ()
