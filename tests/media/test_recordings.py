"""Sounds and videos: type and length told by the bytes, whatever headers claim."""

import contextlib
import struct
from collections.abc import Callable

import pytest

from bot.core.errors import BadFile
from bot.core.file_types import FileFacts
from bot.core.limits import MAX_CONTAINER_PARTS, MAX_SOUND_SECONDS, MAX_VIDEO_SECONDS
from bot.media.recordings import (
    Voice,
    check_length,
    iterate_boxes,
    iterate_elements,
    iterate_riff_chunks,
    measure_recording,
    read_voice,
)
from tests.media.recordings import (
    OPUS_SILENCE,
    RECORDINGS,
    make_box,
    make_element,
    make_flac,
    make_mp3,
    make_mp4,
    make_ogg,
    make_wav,
    make_webm,
)


@pytest.mark.parametrize("mime", RECORDINGS)
def test_each_container_tells_its_length(mime: str) -> None:
    facts = measure_recording(RECORDINGS[mime](3.5))

    assert facts.mime == mime
    assert facts.duration_seconds == pytest.approx(3.5, abs=0.03)


@pytest.mark.parametrize("make", [make_mp4, make_webm])
def test_a_video_tells_its_size(make: Callable[[float], bytes]) -> None:
    facts = measure_recording(make(1))

    assert (facts.width, facts.height) == (64, 48)


@pytest.mark.parametrize(
    ("data", "mime"),
    [
        (make_mp4(2, has_video=False), "audio/mp4"),
        (make_mp4(2, brand=b"M4A "), "video/mp4"),
        (make_mp4(2, brand=b"qt  "), "video/quicktime"),
        (make_webm(2, has_video=False), "audio/webm"),
    ],
    ids=["sound in MP4", "video named M4A", "QuickTime", "sound in WebM"],
)
def test_the_tracks_decide_between_sound_and_video(data: bytes, mime: str) -> None:
    facts = measure_recording(data)

    assert facts.mime == mime
    assert facts.duration_seconds == 2


def test_a_recording_of_a_browser_has_the_length_of_its_blocks() -> None:
    assert measure_recording(make_webm(3, has_length=False)).duration_seconds == pytest.approx(2.9)


def test_a_wav_without_a_length_has_the_length_of_its_samples() -> None:
    data = make_wav(2)

    assert measure_recording(data[:40] + b"\xff\xff\xff\xff" + data[44:]).duration_seconds == 2


def test_a_voice_tells_its_length_and_how_loud_each_tenth_of_a_second_is() -> None:
    # Packets of 300 bytes have two lengths in the page.
    speech = make_ogg(1, packets=[bytes(300)] * 25 + [OPUS_SILENCE] * 25)

    assert read_voice(speech) == Voice(1.0, bytes([255] * 5 + [3] * 5))
    assert read_voice(make_ogg(2)) == Voice(2.0, bytes([255] * 20))
    assert len(read_voice(make_ogg(5, packets=[b""] * 250)).loudness) == 50  # type: ignore[union-attr] # a voice


@pytest.mark.parametrize(
    "data",
    [
        b"",
        make_wav(1),
        make_ogg(0),
        make_ogg(1)[:60],
        make_ogg(1)[:-40],
        make_ogg(1).replace(b"OpusHead", b"OpusHaed"),
        make_ogg(1) + b"no page",
        make_ogg(1) * 2 + b"OggS",
    ],
)
def test_what_is_no_whole_opus_sound_is_no_voice(data: bytes) -> None:
    assert read_voice(data) is None


def test_tags_before_and_behind_an_mp3_are_no_sound() -> None:
    assert measure_recording(make_mp3(2, comment=b"\xff\xfb\x90\x64" * 200)).duration_seconds == pytest.approx(
        2, abs=0.03
    )


@pytest.mark.parametrize(
    "data",
    [
        make_wav(0),
        make_ogg(0),
        make_mp4(1)[:60] + bytes(9),
        b"RIFF\x00\x00\x00\x00WAVE",
        b"ID3\x03\x00\x00\x00\x00\x00\x00",
    ],
    ids=["empty WAV", "empty OGG", "cut MP4", "headless WAV", "tags without sound"],
)
def test_nothing_to_hear_is_refused_in_one_sentence(data: bytes) -> None:
    with pytest.raises(BadFile) as refused:
        measure_recording(data)

    assert str(refused.value).startswith("That ")


@pytest.mark.parametrize("lie", [{22: b"\x00\x00"}, {24: bytes(4)}, {32: b"\x00\x00"}, {32: b"\x01\x00"}])
def test_a_wav_whose_header_lies_is_refused(lie: dict[int, bytes]) -> None:
    data = bytearray(make_wav(2))
    for at, value in lie.items():
        data[at : at + len(value)] = value

    with pytest.raises(BadFile, match="its header does not fit its content"):
        measure_recording(bytes(data))


@pytest.mark.parametrize("mime", RECORDINGS)
def test_no_cut_or_changed_byte_breaks_a_reader(mime: str) -> None:
    data = RECORDINGS[mime](0.2)

    for n in range(min(len(data), 300)):
        for broken in (data[:n], data[:n] + b"\xff" + data[n + 1 :], data[:n] + b"\x00" + data[n + 1 :]):
            try:
                facts = measure_recording(broken)
            except BadFile:
                continue
            assert facts.duration_seconds is None or facts.duration_seconds > 0


BOX = make_box(b"free")
WEBM_HEAD = make_webm(0.1).partition(b"\x18\x53\x80\x67")[0]
BOMBS = {
    "a million boxes": make_box(b"ftyp", b"isom", bytes(4)) + BOX * 1_000_000,
    "boxes in a track": make_box(b"ftyp", b"isom", bytes(4))
    + make_box(b"moov", *[make_box(b"trak", BOX * 150_000) for _ in range(16)]),
    "a box of no size": make_box(b"ftyp", b"isom", bytes(4)) + struct.pack(">I", 3) + b"moov",
    "elements": WEBM_HEAD + make_element(0xEC) * 1_000_000,
    "open elements": WEBM_HEAD + b"\x1f\x43\xb6\x75\xff" * 1_000_000,
    "chunks": b"RIFF\x00\x00\x00\x00WAVE" + b"junk\x00\x00\x00\x00" * 1_000_000,
    "tags": b"ID3\x03\x00\x00\x00\x00\x00\x00" * 1_000_000,
    "nearly frames": b"\xff\xfb\x90\x64" + bytes(413) + b"\xff\xfb" * 5_000_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_hostile_container_ends(name: str) -> None:
    """A reader without a bound, or with nested loops over the same bytes, takes minutes here."""
    with contextlib.suppress(BadFile):
        measure_recording(BOMBS[name])


def test_the_parts_of_a_container_are_bounded() -> None:
    boxes, chunks = BOMBS["a million boxes"], BOMBS["chunks"]

    assert sum(1 for _ in iterate_boxes(boxes, 0, len(boxes))) == MAX_CONTAINER_PARTS
    assert sum(1 for _ in iterate_riff_chunks(chunks)) == MAX_CONTAINER_PARTS
    assert sum(1 for _ in iterate_elements(BOMBS["elements"], frozenset())) == MAX_CONTAINER_PARTS


def test_a_long_mp3_is_estimated_beyond_the_counted_frames() -> None:
    seconds = (MAX_CONTAINER_PARTS + 50_000) * 1_152 / 44_100

    assert measure_recording(make_mp3(seconds)).duration_seconds == pytest.approx(seconds, rel=0.001)


@pytest.mark.parametrize(
    ("facts", "most", "sentence"),
    [
        (FileFacts("video/mp4", duration_seconds=2_400), None, "40:00 long, and I take at most 30:00"),
        (FileFacts("audio/mpeg", duration_seconds=5 * 3_600), None, "5:00:00 long, and I take at most 4:00:00"),
        (FileFacts("audio/mpeg", duration_seconds=90), 60, "1:30 long, and this model takes at most 1:00"),
    ],
)
def test_a_long_recording_is_refused_with_the_bound(facts: FileFacts, most: float | None, sentence: str) -> None:
    with pytest.raises(BadFile, match=sentence):
        check_length(facts, most)


def test_a_recording_within_the_bounds_passes() -> None:
    check_length(FileFacts("video/mp4", duration_seconds=MAX_VIDEO_SECONDS), None)
    check_length(FileFacts("audio/flac", duration_seconds=MAX_SOUND_SECONDS), None)
    check_length(measure_recording(make_flac(2)), 2)
