"""Pictures too large to keep are refused before a run; an output that proves too large is paid as metered."""

import struct
import zlib
from pathlib import Path

import pytest
from PIL import Image

from bot.core.backend import RunMetrics
from bot.core.invocations import Invocation
from bot.core.limits import MAX_OUTPUT_PIXELS
from bot.core.replies import Tone
from tests.bench import Bench, make_attachment
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA, CHANNEL, OWNER, get_text
from tests.faults.bench import open_fault_bench
from tests.media.pictures import make_png_bomb

MEBIBYTE = 1024 * 1024
METERED = RunMetrics(predict_seconds=20.0)
METERED_MICROS = 4_500
"""Twenty seconds of Real-ESRGAN."""


@pytest.mark.parametrize(
    ("width", "height", "scale", "sentence"),
    [
        (1_300, 1_300, "10", "Made 10 times larger, this picture would have 169 million pixels"),
        (1_300, 1_300, "9.5", "the largest scale that works is 9.4."),
        (1_600, 1_200, "9", "the largest scale that works is 8.8."),
        (
            4_000,
            20,
            "9",
            "be 36,000 pixels long, and I keep at most 32,767 a side: the largest scale that works is 8.1.",
        ),
    ],
)
async def test_an_upscale_too_large_to_keep_is_refused_with_the_largest_scale(
    bench: Bench, width: int, height: int, scale: str, sentence: str
) -> None:
    reply = await bench.say(f"/upscale --scale {scale}", image=make_png(width, height))

    assert sentence in get_text(reply)
    assert bench.backend.runs == {}
    assert await bench.balance() == bench.starting_credits


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/upscale --model topaz-upscale --scale 4", "the largest scale that works is 2."),
        ("/upscale --model topaz-upscale --scale 6", "the largest scale that works is 2."),
        ("/restore --model gfpgan --scale 4", "the largest scale that works is 3.3."),
        ("/restore --model codeformer --scale 4", "the largest scale that works is 3.3."),
        ("/upscale --model clarity-upscaler --scale 5", "Clarity Upscaler takes scale from 1 to 4, not 5."),
        ("/upscale --model topaz-upscale --scale 3", "Topaz Upscale takes scale 2, 4, 6, not “3”."),
    ],
)
async def test_every_model_with_a_scale_is_refused_with_the_largest(bench: Bench, line: str, sentence: str) -> None:
    reply = await bench.say(line, image=make_png(4_300, 3_100))

    assert sentence in get_text(reply)
    assert bench.backend.runs == {}
    assert await bench.balance() == bench.starting_credits


async def test_the_usual_scale_is_checked_too(bench: Bench) -> None:
    reply = await bench.say("/restore", image=make_png(20_000, 1_000))

    assert "Made 2 times larger, this picture would be 40,000 pixels long" in get_text(reply)
    assert "the largest scale that works is 1.6." in get_text(reply)
    assert bench.backend.runs == {}


async def test_a_model_that_chooses_the_scale_gets_a_picture_whose_result_is_kept(bench: Bench) -> None:
    await bench.app.dispatcher.services.credits.wallets.grant(OWNER, ANA, 100_000, "web:grant", is_owner=True)

    assert await bench.say("/upscale --model crisp-upscale --scale 4", image=make_png(4_300, 3_100)) is None

    sent = bench.backend.last_run.picture.rpartition(",")[2]
    with Image.open(str(bench.app.media.find_path(sent))) as picture:
        assert picture.width * picture.height * 4**2 <= MAX_OUTPUT_PIXELS
    assert "scale" not in bench.backend.last_run.inputs
    assert "without scale, which Recraft Crisp Upscale does not have" in bench.last_message.reply.note
    await bench.say("/upscale --model crisp-upscale", image=make_png())
    assert "without" not in bench.last_message.reply.note


@pytest.mark.parametrize(
    ("width", "height", "scale"), [(1_300, 1_300, "9.4"), (1_920, 1_080, "4"), (1_024, 1_024, "5")]
)
async def test_the_largest_scale_runs(bench: Bench, width: int, height: int, scale: str) -> None:
    await bench.say(f"/upscale --scale {scale}", image=make_png(width, height))

    assert bench.last_message.reply.tone is Tone.DONE


async def test_the_buttons_of_a_large_picture_work_on_a_smaller_copy(bench: Bench) -> None:
    bench.backend.will(picture=make_png_bomb(6_001, 6_001))
    await bench.say("/upscale --scale 4", image=make_png(1_500, 1_500))
    large = bench.last_message

    await bench.press("caption", on=large, n=1)

    assert bench.last_message is not large
    assert bench.last_message.reply.tone is Tone.DONE
    assert bench.backend.last_run.model.task == "caption"


async def test_a_picture_that_the_bot_shrinks_is_measured_as_sent(bench: Bench) -> None:
    await bench.say("/upscale --scale 3", image=make_png(3_000, 3_000))

    assert bench.last_message.reply.tone is Tone.DONE


async def test_replicate_is_not_asked_for_a_picture_too_large_to_keep(tmp_path: Path) -> None:
    async with open_fault_bench(tmp_path) as town:
        for n in range(4):
            files = {"image": make_attachment(make_png(1_300, 1_300))}
            call = Invocation(ANA, CHANNEL, "upscale", f"web:u{n}", {"scale": 10.0}, files)

            reply = await town.app.dispatcher.handle(call)

            assert "the largest scale that works is 9.4" in get_text(reply)
        assert town.predictions == []


def make_large_png() -> bytes:
    """Return a PNG of some kilobytes with 169 megapixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 13_000, 13_000, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 13_001 * 13_000, 1)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.mark.parametrize("output", ["pixels", "bytes"])
async def test_an_output_too_large_to_keep_is_charged_as_metered(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    monkeypatch.setattr(bench.app.media, "_max_output_bytes", MEBIBYTE)
    picture = make_large_png() if output == "pixels" else make_png() + b"\0" * MEBIBYTE
    bench.backend.will(picture=picture, metrics=METERED)

    await bench.say("/upscale", image=make_png())

    assert bench.last_message.reply.tone is Tone.ERROR
    assert "too large to keep" in bench.last_text
    assert "The run is charged" in bench.last_text
    assert await bench.balance() == bench.starting_credits - METERED_MICROS
    assert await bench.get_bot_spent_micros() == METERED_MICROS
    assert "4.5 credits" in bench.last_message.reply.note


async def test_an_output_that_is_no_picture_stays_free(bench: Bench) -> None:
    bench.backend.will(picture=b"no picture", metrics=METERED)

    await bench.say("/upscale", image=make_png())

    assert "You were not charged" in bench.last_text
    assert await bench.balance() == bench.starting_credits
