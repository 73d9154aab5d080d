"""Files of requests: kept for accepted requests alone, and always within the bound of the media folder."""

import asyncio
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from PIL import Image, ImageStat

from bot.media import media as media_module
from tests.bench import Bench
from tests.fakes.samples import BEN, MODERATOR
from tests.media.pictures import encode_picture, make_16_bit_grey, make_exif


def list_files(bench: Bench) -> list[Path]:
    return [path for path in (bench.app.settings.data_dir / "media").glob("*/*/*") if path.is_file()]


def make_noise(seed: int, side: int = 260) -> bytes:
    """Return a PNG of some 200 kB that no other seed makes."""
    encoded = BytesIO()
    Image.frombytes("RGB", (side, side), Random(seed).randbytes(side * side * 3)).save(encoded, "PNG")
    return encoded.getvalue()


async def test_refused_requests_leave_no_files(bench: Bench) -> None:
    await bench.say("/words add forbidden", by=MODERATOR)

    for seed in range(20):
        await bench.say("/caption --question forbidden", image=make_noise(seed, 20))

    assert bench.backend.runs == {}
    assert list_files(bench) == []


async def test_requests_refused_before_a_restart_leave_no_files(bench: Bench) -> None:
    bench.app.jobs.is_accepting = False

    await bench.say("/caption", image=encode_picture("PNG"))

    assert list_files(bench) == []


async def test_a_refused_request_does_not_delete_the_file_of_another(bench: Bench) -> None:
    await bench.say("/words add forbidden", by=MODERATOR)
    await bench.say("/caption", image=encode_picture("PNG"))
    kept = list_files(bench)

    await bench.say("/caption --question forbidden", image=encode_picture("PNG"), by=BEN)

    assert len(kept) == 1
    assert list_files(bench) == kept


async def test_of_equal_files_given_at_once_the_accepted_request_keeps_its_own(bench: Bench) -> None:
    await bench.say("/words add forbidden", by=MODERATOR)

    await asyncio.gather(
        *(bench.say(f"/caption --question {word}", image=encode_picture("PNG")) for word in ("forbidden", "allowed"))
    )

    assert len(list_files(bench)) == 1
    assert len(bench.backend.runs) == 1


async def test_a_file_that_waits_for_a_confirmation_is_kept(bench: Bench) -> None:
    await bench.say("/settings general --confirm_above 1", by=MODERATOR)

    await bench.say("/caption --model blip", image=encode_picture("PNG"))

    assert bench.backend.runs == {}
    assert len(list_files(bench)) == 1


async def test_the_folder_is_within_its_bound_at_all_times(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, media_max_gb=0.001)
    bench.app.retention.start()
    for seed in range(12):
        await bench.say("/caption", image=make_noise(seed))

        assert sum(path.stat().st_size for path in list_files(bench)) <= 1_000_000
    await bench.close()

    assert len(bench.backend.runs) == 12


async def test_a_picture_without_room_is_refused_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_module, "ROOM_SECONDS", 0.05)
    bench = await Bench.open(tmp_path, media_max_gb=0.0001)

    reply = await bench.say("/caption", image=make_noise(1))
    await bench.close()

    assert reply is not None
    assert reply.text == "There is no room for another file just now. Please try again in a minute."
    assert list_files(bench) == []


async def test_a_large_picture_of_16_bit_grey_reaches_the_model_as_bright_as_it_is(bench: Bench) -> None:
    await bench.say("/upscale --scale 2", image=make_16_bit_grey((2_000, 1_500), 127 * 257, exif=make_exif(6)))

    sent = str(bench.backend.last_run.inputs["image"])
    path = bench.app.media.find_path(sent.rpartition(",")[2])
    assert path is not None
    with Image.open(path) as picture:
        assert picture.size == (1_224, 1_632)
        assert ImageStat.Stat(picture.convert("L")).mean == pytest.approx([127], abs=1)
