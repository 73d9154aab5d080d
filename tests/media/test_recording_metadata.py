"""Tests that what people wrote into a sound or video is removed, and that its content stays where it was."""

import struct
from pathlib import Path

import pytest

from bot.core.errors import BadFile
from bot.core.file_types import RECORDINGS as RECORDING_KINDS
from bot.core.invocations import Attachment
from bot.core.models import InputRule, OutputKind
from bot.media.media import Media
from bot.media.recording_metadata import strip_recording
from bot.media.recordings import measure_recording
from tests.bench import make_attachment
from tests.fakes.backend import make_data_url
from tests.media.recordings import (
    RECORDINGS,
    SECRET,
    make_box,
    make_element,
    make_flac,
    make_mp3,
    make_mp4,
    make_ogg,
    make_ogg_checksum,
    make_wav,
    make_webm,
)


def strip(data: bytes) -> bytes:
    return b"".join(strip_recording(data, measure_recording(data).mime))


@pytest.mark.parametrize("mime", RECORDINGS)
def test_words_are_gone_and_the_content_stays(mime: str) -> None:
    data = RECORDINGS[mime](1, comment=SECRET)
    stripped = strip(data)

    assert SECRET in data
    assert SECRET not in stripped
    assert measure_recording(stripped) == measure_recording(data)
    assert strip(stripped) == stripped
    # Positions inside a file stay; nothing in an MP3 refers to one.
    assert len(stripped) == len(data) or mime == "audio/mpeg"


@pytest.mark.parametrize("mime", RECORDINGS)
def test_a_recording_without_words_keeps_its_content(mime: str) -> None:
    data = RECORDINGS[mime](1)
    stripped = strip(data)

    assert measure_recording(stripped) == measure_recording(data)
    # The name of the encoder, in Ogg and FLAC, goes too.
    assert stripped == data or mime in ("audio/ogg", "audio/flac")


def test_the_sound_of_an_mp3_is_whole() -> None:
    assert strip(make_mp3(1, comment=SECRET)) == make_mp3(1)


def test_the_words_of_an_ape_tag_behind_an_mp3_are_gone() -> None:
    tag = b"APETAGEX" + struct.pack("<IIII", 2_000, 32 + len(SECRET), 1, 0) + bytes(8)

    assert strip(make_mp3(1) + SECRET + tag) == make_mp3(1)


def test_each_page_of_an_ogg_has_its_checksum() -> None:
    stripped, position, pages = strip(make_ogg(1, comment=SECRET)), 0, 0
    while position < len(stripped):
        segments = stripped[position + 26]
        end = position + 27 + segments + sum(stripped[position + 27 : position + 27 + segments])
        page = stripped[position:end]
        assert page[:4] == b"OggS"
        assert int.from_bytes(page[22:26], "little") == make_ogg_checksum(page)
        position, pages = end, pages + 1

    assert pages == 3


def test_the_cover_in_a_flac_is_gone() -> None:
    data = make_flac(1)
    picture = b"\x06" + len(SECRET).to_bytes(3, "big") + SECRET
    stripped = strip(data[:42] + picture + data[42:])

    assert SECRET not in stripped
    assert stripped[:42] == data[:42]
    assert stripped[42] == 1


def test_the_place_in_a_track_and_the_words_behind_a_movie_are_gone() -> None:
    place = make_box(b"udta", make_box(b"\xa9xyz", SECRET))
    data = make_mp4(1)
    at = data.index(b"trak") - 4
    size = int.from_bytes(data[at : at + 4], "big")
    track = struct.pack(">I", size + len(place)) + data[at + 4 : at + size] + place
    movie = data.index(b"moov") - 4
    whole = struct.pack(">I", int.from_bytes(data[movie : movie + 4], "big") + len(place))
    changed = data[:movie] + whole + data[movie + 4 : at] + track + data[at + size :]
    stripped = strip(changed + make_box(b"uuid", SECRET) + b"\x00" + SECRET)

    assert SECRET not in stripped
    assert measure_recording(stripped) == measure_recording(data)


@pytest.mark.parametrize("length", [1, 124, 125, 126, 127, 5_000])
def test_empty_space_in_a_webm_has_the_length_of_the_words(length: int) -> None:
    tags = make_element(0x1254C367, b"a" * length)
    data = make_webm(1)
    at = data.index(b"\x1f\x43\xb6\x75")
    stripped = strip(data[:at] + tags + data[at:])

    assert b"aaa" not in stripped
    assert measure_recording(stripped) == measure_recording(data)
    assert stripped[at] == 0xEC
    assert stripped[at + len(tags) :] == data[at:]


@pytest.mark.parametrize("mime", RECORDINGS)
def test_a_broken_file_is_stripped_as_far_as_it_goes(mime: str) -> None:
    data = RECORDINGS[mime](0.2, comment=SECRET)
    for n in range(len(data) - len(SECRET) - 200, len(data)):
        strip_recording(data[:n], mime)


@pytest.mark.parametrize("data", [make_wav(1, comment=SECRET), make_mp4(1, comment=SECRET)], ids=["WAV", "MP4"])
async def test_given_and_made_recordings_are_kept_without_words(tmp_path: Path, data: bytes) -> None:
    media = Media(tmp_path)
    attachment: Attachment = make_attachment(data, "note.wav", "audio/wav")

    given = await media.take_attachment(attachment, InputRule(media=RECORDING_KINDS))
    made = await media.take_output(make_data_url(data), OutputKind.FILES)
    await media.close()

    assert given.sha256 == made.sha256
    assert SECRET not in given.path.read_bytes()
    assert given.duration_seconds == 1


SOUND_MOVIE = make_mp4(1.0)


@pytest.mark.parametrize(
    "data",
    [
        SOUND_MOVIE + make_box(b"moov", make_box(b"abcd") * 3_000) * 2,
        SOUND_MOVIE + make_box(b"moov", make_box(b"mvhd") * 60_000) * 2,
        make_wav(1.0) + b"junk\x00\x00\x00\x00" * 6_000,
    ],
    ids=["boxes with words", "boxes", "chunks"],
)
def test_a_recording_of_too_many_parts_is_refused(data: bytes) -> None:
    """Two million parts of 8 bytes took 1.6 GB."""
    facts = measure_recording(data)

    with pytest.raises(BadFile, match="is made of too many parts"):
        strip_recording(data, facts.mime)
