"""Recordings of people: kept by kind and length, and refused in one sentence before anything is kept."""

import io
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.core.errors import BadFile
from bot.core.file_types import ANY_MEDIA, RECORDINGS, MediaKind
from bot.core.invocations import Attachment
from bot.core.models import InputRule
from bot.media.media import Media
from tests.bench import make_attachment
from tests.fakes.backend import make_png
from tests.media.recordings import make_flac, make_mp3, make_mp4, make_ogg, make_wav, make_webm

RULE = InputRule("audio", is_file=True, media=RECORDINGS)


@pytest.fixture
async def media(tmp_path: Path) -> AsyncIterator[Media]:
    opened = Media(tmp_path)
    yield opened
    await opened.close()


def make_nested_zip() -> bytes:
    content = b"nothing"
    for _ in range(3):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("inner.zip", content)
        content = buffer.getvalue()
    return content


def make_lying_wav() -> bytes:
    data = make_wav(1)
    return data[:32] + b"\x01\x00" + data[34:]  # blocks of one byte for samples of two


@pytest.mark.parametrize(
    ("data", "mime", "seconds"),
    [
        (make_ogg(2), "audio/ogg", 2),
        (make_webm(2), "video/webm", 2),
        (make_mp4(2, has_video=False), "audio/mp4", 2),
    ],
    ids=["voice message", "video", "sound in MP4"],
)
async def test_a_recording_is_an_input_with_its_length(media: Media, data: bytes, mime: str, seconds: float) -> None:
    file = await media.load_input(make_attachment(data, "a.bin", "application/octet-stream"), RULE)

    assert (file.mime, file.duration_seconds) == (mime, seconds)


REFUSED = {
    "an empty sound": (make_wav(0), "That sound is empty: nothing is recorded in it."),
    "an empty voice message": (make_ogg(0), "That sound is empty: nothing is recorded in it."),
    "a picture named MP3": (
        make_png(),
        "That is a picture, not a sound or a video I can read: MP3, WAV, OGG, FLAC, M4A, MP4, WebM or MOV, please.",
    ),
    "a zip of zips": (
        make_nested_zip(),
        "That is a ZIP archive or an Office document, not a sound or a video I can read: MP3, WAV, OGG, FLAC, M4A, "
        "MP4, WebM or MOV, please.",
    ),
    "a lying WAV": (
        make_lying_wav(),
        "That sound cannot be read: its header does not fit its content. Please save it again, and send that.",
    ),
    "40 minutes of video": (
        make_mp4(2_400),
        "That video is 40:00 long, and I take at most 30:00: cut it, please.",
    ),
    "a text": (
        b"la la la",
        "That is a text, not a sound or a video I can read: MP3, WAV, OGG, FLAC, M4A, MP4, WebM or MOV, please.",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_a_file_that_cannot_be_used_is_refused_in_one_sentence(media: Media, name: str) -> None:
    data, sentence = REFUSED[name]

    with pytest.raises(BadFile) as refused:
        await media.load_input(make_attachment(data, "song.mp3", "audio/mpeg"), RULE)

    assert str(refused.value) == sentence
    assert await media.list_files() == []


async def test_a_file_of_300_mb_is_refused_unread(media: Media) -> None:
    async def read() -> bytes:
        raise AssertionError("a file above the bound is not read")

    with pytest.raises(BadFile, match="That file is too large: at most 20 MB, please."):
        await media.load_input(Attachment("film.mp4", "video/mp4", 300_000_000, read), RULE)


@pytest.mark.parametrize(
    ("data", "rule", "sentence"),
    [
        (make_mp4(1), InputRule(media=(MediaKind.AUDIO,)), "That is a video, not a sound I can read"),
        (make_mp3(1), InputRule(), "That is a sound, not a picture I can read"),
        (make_flac(90), InputRule(media=RECORDINGS, max_seconds=60), "1:30 long, and this model takes at most 1:00"),
    ],
    ids=["video for a model of sounds", "sound for a model of pictures", "longer than the model takes"],
)
async def test_the_model_decides_about_kind_and_length(
    media: Media, data: bytes, rule: InputRule, sentence: str
) -> None:
    with pytest.raises(BadFile, match=sentence):
        await media.load_input(make_attachment(data), rule)

    assert await media.list_files() == []


async def test_a_model_of_any_files_takes_pictures_recordings_and_downloads(media: Media) -> None:
    rule = InputRule(media=ANY_MEDIA)

    files = await media.load_inputs(
        [make_attachment(data) for data in (make_png(), make_mp3(1), make_nested_zip())], rule
    )

    assert [file.mime for file in files] == ["image/png", "audio/mpeg", "application/zip"]
    with pytest.raises(BadFile, match="That is a PDF, not a file I can read"):
        await media.load_input(make_attachment(b"%PDF-1.7"), rule)
