"""Sounds of one format become one file; parts that do not fit are refused."""

import io
import wave
from collections.abc import Sequence
from pathlib import Path

import pytest

from bot.core.errors import BadFile
from bot.core.models import OutputKind
from bot.media.joining import join_sounds
from bot.media.media import Media
from bot.media.recordings import measure_recording
from tests.media.recordings import make_flac, make_mp3, make_ogg, make_ogg_checksum, make_wav

FRAME = make_mp3(0.02)
TABLE_FRAME = FRAME[:36] + b"Xing" + FRAME[40:]
MONO_FRAME = b"\xff\xfb\x90\xc4" + FRAME[4:]
OTHER_RATE_FRAME = b"\xff\xfb\x94\x64" + bytes(380)


def join(parts: Sequence[bytes], mime: str) -> bytes:
    return b"".join(join_sounds(parts, mime))


def test_wav_parts_keep_every_sample() -> None:
    short, long = make_wav(0.5, comment=b"a note"), make_wav(1)
    # A header that lies about the length, and a last frame that is cut.
    lying = long[:40] + b"\xff\xff\xff\x7f" + long[44:] + b"\x01"

    with wave.open(io.BytesIO(join([short, lying, short], "audio/wav"))) as file:
        assert (file.getnframes(), file.getframerate()) == (16_000, 8_000)
        samples = file.readframes(16_000)
    half = make_wav(0.5)[44:]
    assert samples == half + long[44:] + half


def test_mp3_parts_lose_tags_and_tables() -> None:
    parts = [make_mp3(1, comment=b"\xff\xfb\x90\x64 a note"), TABLE_FRAME + make_mp3(2)]

    assert join(parts, "audio/mpeg") == make_mp3(1) + make_mp3(2)


def test_ogg_pages_run_on_with_right_checksums() -> None:
    joined = join([make_ogg(2), make_ogg(1, comment=b"other")], "audio/ogg")

    starts = [at for at in range(len(joined)) if joined[at : at + 4] == b"OggS"]
    pages = [joined[start:end] for start, end in zip(starts, [*starts[1:], len(joined)], strict=True)]
    assert [page[5] for page in pages] == [2, 0, 0, 4]
    assert [int.from_bytes(page[18:22], "little") for page in pages] == [0, 1, 2, 3]
    assert {page[14:18] for page in pages} == {b"\x01\x00\x00\x00"}
    assert all(int.from_bytes(page[22:26], "little") == make_ogg_checksum(page) for page in pages)
    assert measure_recording(joined).duration_seconds == pytest.approx(3, abs=0.01)
    assert b"other" not in joined


@pytest.mark.parametrize(
    ("mime", "parts"),
    [
        ("audio/wav", [make_wav(0.1), make_wav(0.1, hertz=16_000)]),
        ("audio/wav", [make_wav(0.1), b"RIFF"]),
        ("audio/wav", [make_wav(0.1), make_wav(0.1)[:36]]),
        ("audio/mpeg", [b"ID3", b"\xff\xfb"]),
        ("audio/mpeg", [FRAME, OTHER_RATE_FRAME]),
        ("audio/mpeg", [FRAME, MONO_FRAME]),
        ("audio/ogg", [make_ogg(1), make_ogg(1).replace(b"OpusHead\x01\x01", b"OpusHead\x01\x02")]),
        ("audio/ogg", [make_ogg(1), make_ogg(1)[:40]]),
        ("audio/ogg", [make_ogg(1), make_ogg(1)[:-3]]),
        ("audio/ogg", [make_ogg(1) + make_ogg(1), make_ogg(1)]),
        ("audio/ogg", [make_ogg(1).replace(b"OpusHead", b"SpeexHea"), make_ogg(1)]),
        ("audio/ogg", [b"", b""]),
        ("audio/flac", [make_flac(1), make_flac(1)]),
    ],
)
def test_parts_that_do_not_fit_are_refused(mime: str, parts: list[bytes]) -> None:
    with pytest.raises(BadFile):
        join_sounds(parts, mime)


async def test_stored_sounds_that_are_too_large_gone_or_of_two_types_are_not_joined(tmp_path: Path) -> None:
    media = Media(tmp_path, max_output_bytes=len(make_wav(1)) + 100)
    one, two = [(await media.take_output(make_wav(n), OutputKind.AUDIO)).sha256 for n in (1, 0.5)]
    mp3 = (await media.take_output(make_mp3(0.5), OutputKind.AUDIO)).sha256

    for hashes in ([one, two], [two, "0" * 64], [two, mp3]):
        with pytest.raises(BadFile):
            await media.join_sounds(hashes)
    assert (await media.join_sounds([two])).sha256 == two
    await media.close()
