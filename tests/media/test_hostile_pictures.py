"""Hostile pictures: refused in one sentence or taken at a bounded cost, whatever a small file claims."""

import asyncio
import sys
from pathlib import Path

import pytest

from benchmarks.pictures import EIGHT, measure_in_process
from bot.core.errors import BadFile
from bot.core.invocations import Attachment
from bot.core.limits import MAX_DECODING_BYTES, OUTPUT_DECODING_BYTES
from bot.media.decoding import DecodingLines, Line
from bot.media.media import Media
from bot.media.media_store import get_mime
from tests.media.hostile_pictures import (
    make_gif_of_frames,
    make_jpeg_of_scans,
    make_png_of_chunks,
    make_webp_of_frames,
)
from tests.media.pictures import encode_picture, open_picture

TOO_LONG = "That picture is too long: at most 32767 pixels a side, please."
TOO_MANY_PARTS = "That picture is made of too many parts. Save it again with a picture program, please."
ANSWERS = {
    "png 25,000,000 x 1": TOO_LONG,
    "jpeg of 12,000 scans": TOO_MANY_PARTS,
    "jpeg of 5 million segments": TOO_MANY_PARTS,
    "png of 1.6 million chunks": TOO_MANY_PARTS,
    "gif of 3 million blocks": TOO_MANY_PARTS,
}
needs_proc = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory is read from /proc")


async def take(media: Media, data: bytes) -> str:
    async def read() -> bytes:
        return data

    try:
        return (await media.take_attachment(Attachment("a.png", "image/png", len(data), read))).sha256
    except BadFile as error:
        return str(error)


@needs_proc
@pytest.mark.parametrize("name", ["webp turned", *ANSWERS])
def test_a_hostile_picture_costs_bounded_memory(name: str) -> None:
    measured = measure_in_process(name)

    assert measured.peak_megabytes - measured.base_megabytes < MAX_DECODING_BYTES / 1_000_000
    assert measured.answers == (ANSWERS.get(name, "kept, 5000 x 5000"),)


@needs_proc
@pytest.mark.timeout(240)  # one after the other, some ten seconds of CPU
def test_eight_hostile_pictures_at_once_stay_below_a_gigabyte() -> None:
    measured = measure_in_process("eight at once")

    assert len(measured.answers) == len(EIGHT) == 8
    assert measured.peak_megabytes < 900


@pytest.mark.parametrize(
    ("frames", "mime"),
    [(make_gif_of_frames(), "image/png"), (make_webp_of_frames(), "image/webp")],
    ids=["gif", "webp"],
)
async def test_of_thousands_of_frames_the_first_is_kept(tmp_path: Path, frames: bytes, mime: str) -> None:
    media = Media(tmp_path)

    path = media.find_path(await take(media, frames))

    assert path is not None
    kept = open_picture(path.read_bytes())
    assert (kept.size, getattr(kept, "n_frames", 1), get_mime(path)) == ((30, 30), 1, mime)


async def test_ordinary_numbers_of_parts_are_accepted(tmp_path: Path) -> None:
    media = Media(tmp_path)

    for data in (make_jpeg_of_scans(20, (100, 100)), make_png_of_chunks(4_000), encode_picture("PNG", (32_767, 10))):
        assert media.find_path(await take(media, data)) is not None


async def test_an_output_passes_the_uploads_that_wait() -> None:
    lines, order, is_open = DecodingLines(), [], asyncio.Event()

    async def decode(line: Line, name: str, needed_bytes: int) -> None:
        async with lines.reserve(line, needed_bytes):
            order.append(name)
            await is_open.wait()

    uploads = [asyncio.create_task(decode(Line.UPLOADS, f"upload {n}", MAX_DECODING_BYTES // 2)) for n in range(8)]
    await asyncio.sleep(0)
    small = asyncio.create_task(decode(Line.OUTPUTS, "small output", OUTPUT_DECODING_BYTES))
    large = asyncio.create_task(decode(Line.OUTPUTS, "large output", MAX_DECODING_BYTES))
    await asyncio.sleep(0.01)
    started_at_once = list(order)
    is_open.set()
    await asyncio.gather(*uploads, small, large)

    assert started_at_once == ["upload 0", "small output"]
    assert order.index("large output") == 2


async def test_an_ordinary_output_waits_for_no_large_output() -> None:
    """Two enlarged pictures of 36 megapixels held everybody's pictures for three seconds."""
    lines, order, is_open = DecodingLines(), [], asyncio.Event()

    async def decode(line: Line, name: str) -> None:
        async with lines.reserve(line, MAX_DECODING_BYTES // 8):
            order.append(name)
            await is_open.wait()

    large = [asyncio.create_task(decode(Line.LARGE_OUTPUTS, f"large {n}")) for n in range(3)]
    await asyncio.sleep(0)
    ordinary = [asyncio.create_task(decode(Line.OUTPUTS, f"ordinary {n}")) for n in range(2)]
    await asyncio.sleep(0.01)
    started_at_once = list(order)
    is_open.set()
    await asyncio.gather(*large, *ordinary)

    assert started_at_once == ["large 0", "ordinary 0", "ordinary 1"]


async def test_a_cancelled_picture_gives_its_memory_back() -> None:
    lines, is_open = DecodingLines(), asyncio.Event()

    async def decode() -> None:
        async with lines.reserve(Line.UPLOADS, MAX_DECODING_BYTES):
            await is_open.wait()

    running, waiting = asyncio.create_task(decode()), asyncio.create_task(decode())
    await asyncio.sleep(0.01)
    waiting.cancel()
    running.cancel()
    await asyncio.gather(running, waiting, return_exceptions=True)
    is_open.set()

    async with asyncio.timeout(1):
        await decode()
