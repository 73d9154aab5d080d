"""Pictures from attachments, links, this machine and backends."""

import asyncio
import base64
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from bot.core.errors import BackendDown, BadFile, ModelFailed, OutputGone, Unavailable, UnsafeAddress
from bot.core.invocations import Attachment, Link
from bot.core.models import InputRule
from bot.media.fetching import CheckHop, FetchedFile, Fetcher
from bot.media.media import Media, build_input_file
from tests.bench import make_attachment
from tests.media.pictures import SECRET, encode_picture, make_exif, make_png_bomb, make_recipe_picture


class ScriptedFetcher(Fetcher):
    """A fetcher with scripted results, which counts simultaneous fetches."""

    def __init__(self) -> None:
        super().__init__()
        self.gives: bytes | Exception = b""
        self.trusted: list[bool] = []

    async def fetch(
        self,
        url: str,
        *,
        max_bytes: int,
        is_trusted: bool = False,
        origin: str = "",
        headers: object = None,
        check_hop: CheckHop | None = None,
        file: BinaryIO | None = None,
    ) -> FetchedFile:
        self.trusted.append(is_trusted)
        await asyncio.sleep(0)
        if isinstance(self.gives, Exception):
            raise self.gives
        return FetchedFile(self.gives, "application/octet-stream")


@pytest.fixture
def fetcher() -> ScriptedFetcher:
    return ScriptedFetcher()


@pytest.fixture
async def media(tmp_path: Path, fetcher: ScriptedFetcher) -> AsyncIterator[Media]:
    media = Media(tmp_path, fetcher=fetcher, max_attachment_bytes=100_000)
    yield media
    await media.close()


def attachment(data: bytes, size: int | None = None) -> Attachment:
    async def read() -> bytes:
        return data

    return Attachment("holiday.jpg", "image/jpeg", len(data) if size is None else size, read)


async def test_an_attachment_is_cleaned_and_stored(media: Media) -> None:
    kept = await media.take_attachment(attachment(encode_picture("JPEG", exif=make_exif(orientation=6))))

    assert SECRET not in kept.path.read_bytes()
    assert (kept.mime, kept.width, kept.height) == ("image/jpeg", 40, 60)


async def test_an_attachment_of_too_large_a_declared_size_is_not_read(media: Media) -> None:
    async def read() -> bytes:
        raise AssertionError("it was read")

    with pytest.raises(BadFile) as refused:
        await media.take_attachment(Attachment("big.png", "image/png", 21 * 1024 * 1024, read))

    assert str(refused.value) == "That file is too large: at most 100000 bytes, please."


async def test_an_attachment_larger_than_declared_is_refused(media: Media) -> None:
    with pytest.raises(BadFile, match="too large"):
        await media.take_attachment(attachment(bytes(100_001), size=10))


@pytest.mark.parametrize(
    ("data", "words"), [(b"%PDF-1.7", "not a picture I can read"), (make_png_bomb(), "too many pixels")]
)
async def test_a_bad_attachment_is_refused_and_not_stored(media: Media, data: bytes, words: str) -> None:
    with pytest.raises(BadFile, match=words):
        await media.take_attachment(attachment(data))

    assert await media.list_files() == []


async def test_a_users_link_is_not_trusted(media: Media, fetcher: ScriptedFetcher) -> None:
    fetcher.gives = encode_picture("PNG")

    kept = await media.take_url("https://pictures.example/x")

    assert kept.mime == "image/png"
    assert fetcher.trusted == [False]


async def test_a_link_without_a_file_is_refused(media: Media, fetcher: ScriptedFetcher) -> None:
    fetcher.gives = OutputGone("404")

    with pytest.raises(BadFile) as refused:
        await media.take_url("https://pictures.example/x")

    assert str(refused.value) == "There is no file at that address."


async def test_a_link_to_this_machine_is_refused(tmp_path: Path) -> None:
    media = Media(tmp_path, allowed_origins=["http://127.0.0.1:8766"])

    for url in ("https://127.0.0.1/", "https://169.254.169.254/", "http://127.0.0.1:8766/"):
        with pytest.raises(UnsafeAddress):
            await media.take_url(url)


async def test_outputs_are_fetched_side_by_side(media: Media, fetcher: ScriptedFetcher) -> None:
    fetcher.gives = encode_picture("WEBP")

    kept = await asyncio.gather(*(media.take_output(f"https://replicate.delivery/{n}") for n in range(4)))

    assert [file.mime for file in kept] == ["image/webp"] * 4
    assert fetcher.trusted == [True] * 4


async def test_an_output_may_come_inside_its_address(tmp_path: Path) -> None:
    url = "data:image/png;base64," + base64.b64encode(encode_picture("PNG")).decode()

    assert (await Media(tmp_path).take_output(url)).width == 60


@pytest.mark.parametrize(
    ("raised", "met"),
    [
        (Unavailable("network"), BackendDown),
        (OutputGone("404"), OutputGone),
        (UnsafeAddress("private"), ModelFailed),
        (BadFile("too large"), ModelFailed),
    ],
)
async def test_an_unreachable_output_raises_backend_down(
    media: Media, fetcher: ScriptedFetcher, raised: Exception, met: type[Exception]
) -> None:
    fetcher.gives = raised

    with pytest.raises(met):
        await media.take_output("https://replicate.delivery/x")


async def test_an_output_that_is_no_picture_raises_model_failed(media: Media, fetcher: ScriptedFetcher) -> None:
    fetcher.gives = b"<html>"

    with pytest.raises(ModelFailed) as failed:
        await media.take_output("https://replicate.delivery/x")

    assert str(failed.value) == "The model gave something that is not a picture I can read. You were not charged."


async def test_a_model_gets_no_more_pixels_than_it_takes(media: Media, fetcher: ScriptedFetcher) -> None:
    fetcher.gives = encode_picture("PNG", (400, 200))

    whole = await media.load_input(Link("https://pictures.example/x"), InputRule("image", is_file=True))
    small = await media.load_input(
        Link("https://pictures.example/x"), InputRule("image", is_file=True, max_pixels=20_000)
    )
    same = await media.load_input(
        attachment(encode_picture("PNG")), InputRule("image", is_file=True, max_pixels=20_000)
    )

    assert whole.sha256 != small.sha256
    assert media.find_path(small.sha256) == Path(small.path)
    assert small.mime == same.mime == "image/png"


async def test_a_stored_picture_can_be_attached_again(media: Media) -> None:
    kept = await media.take_attachment(attachment(encode_picture("PNG")))

    again = media.load_attachment(kept.sha256)

    assert again is not None
    assert (again.mime, again.size_bytes) == ("image/png", kept.size_bytes)
    assert await media.take_attachment(again) == kept
    assert await media.remove(kept.sha256)
    assert media.load_attachment(kept.sha256) is None


async def test_a_stored_picture_becomes_an_input(media: Media) -> None:
    kept = await media.take_attachment(attachment(encode_picture("PNG")))

    assert build_input_file(kept).path == str(kept.path)


async def test_files_wait_for_no_other_work_in_threads(tmp_path: Path) -> None:
    """Long work of one person must not keep the threads that people's files and ordinary outputs need."""
    media, is_open = Media(tmp_path), threading.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    long_work = asyncio.create_task(asyncio.to_thread(is_open.wait))
    await asyncio.sleep(0)

    try:
        async with asyncio.timeout(20):
            _, recipe = await media.read_recipe(make_attachment(make_recipe_picture()))
            preview = await media.make_live_preview(encode_picture("PNG"))
    finally:
        is_open.set()
        await long_work
        await media.close()

    assert recipe is not None
    assert preview.facts.mime == "image/png"
