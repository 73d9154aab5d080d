"""Measures hostile pictures: memory, seconds and the longest pause of the event loop, one by one and eight at once.

    python3 -m benchmarks.pictures [seconds]

Each picture goes through the media store as a person's upload, in a process of its own. "eight at once" gives the eight
most expensive pictures in the same moment, each in its own variant, while outputs of models arrive too. "nine at once"
adds a model's picture of 150 megapixels, kept whole and made smaller.
"""

import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from aiohttp import web

from bot.core.errors import BadFile
from bot.core.invocations import Attachment
from bot.media.media import Media
from tests.media.hostile_pictures import HOSTILE, LARGE_OUTPUTS
from tests.media.pictures import encode_picture

EIGHT = (
    *("webp turned", "webp turned, transparent", "jpeg turned, progressive", "png turned, transparent"),
    *("jpeg of 34 scans, 25 megapixels", "webp turned", "png of 1.6 million chunks", "jpeg of stuffed bytes"),
)
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PictureMeasurement:
    """The cost of pictures taken at once."""

    name: str
    file_kilobytes: int
    base_megabytes: float
    peak_megabytes: float
    seconds: float
    longest_pause_seconds: float
    output_seconds: float
    """How long a model's output of ordinary size took beside the pictures."""
    answers: tuple[str, ...]


def read_memory(name: str) -> float:
    """Return a figure of this process in megabytes: VmRSS, or VmHWM for the peak."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024


def start_peak() -> float:
    """Let the peak count from here, and return the memory of now in megabytes."""
    Path("/proc/self/clear_refs").write_text("5")
    return read_memory("VmRSS")


async def take(media: Media, data: bytes) -> str:
    async def read() -> bytes:
        return data

    try:
        stored = await media.take_attachment(Attachment("picture", "image/png", len(data), read))
    except BadFile as error:
        return str(error)
    return f"kept, {stored.width} x {stored.height}"


async def measure_pause(stop: asyncio.Event) -> float:
    """Return the longest time for which the event loop did nothing else, in seconds."""
    longest = 0.0
    while not stop.is_set():
        started = time.perf_counter()
        await asyncio.sleep(0.001)
        longest = max(longest, time.perf_counter() - started - 0.001)
    return longest


async def take_output(media: Media, data: bytes) -> float:
    """Return how long a picture takes in the line of the models' outputs, in seconds."""
    await asyncio.sleep(0.05)
    started = time.perf_counter()
    await media.take_output(f"data:image/png;base64,{base64.b64encode(data).decode()}")
    return time.perf_counter() - started


@asynccontextmanager
async def serve_folder(folder: Path) -> AsyncIterator[str]:
    """Serve a folder on a free port, as a backend serves outputs; yield the address."""
    app = web.Application()
    app.router.add_static("/", folder)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


async def take_large_output(media: Media, url: str) -> str:
    """Keep a large picture of a model, and make its preview and a copy that Discord takes."""
    kept = await media.take_output(url)
    await media.make_preview(kept.sha256)
    await media.make_smaller(kept.path, max_bytes=100_000)
    return f"kept, {kept.width} x {kept.height}"


def run_python(code: str) -> None:
    """Run code in a process of its own."""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


async def measure_outputs(names: Sequence[str], pictures: Sequence[bytes]) -> PictureMeasurement:
    """Measure large outputs of models beside hostile uploads."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for n, output in enumerate(names):
            # In a process of its own: making the picture takes more memory than keeping it.
            write = (
                f"from tests.media.hostile_pictures import *; LARGE_OUTPUTS[{output!r}](Path({str(folder / str(n))!r}))"
            )
            await asyncio.to_thread(run_python, write)
        async with serve_folder(folder) as address:
            media, stop = Media(folder / "data", allowed_origins=[address]), asyncio.Event()
            base, started = start_peak(), time.perf_counter()
            pausing = asyncio.create_task(measure_pause(stop))
            outputs = [take_large_output(media, f"{address}/{n}") for n in range(len(names))]
            answers = await asyncio.gather(*outputs, *(take(media, data) for data in pictures))
            seconds = time.perf_counter() - started
            stop.set()
            pause = await pausing
            await media.close()
        kilobytes = sum((folder / str(n)).stat().st_size for n in range(len(names))) // 1024
    return PictureMeasurement(
        " and ".join(names), kilobytes, base, read_memory("VmHWM"), seconds, pause, seconds, tuple(answers)
    )


async def measure(name: str, pictures: Sequence[bytes]) -> PictureMeasurement:
    with tempfile.TemporaryDirectory() as folder:
        media, stop = Media(folder), asyncio.Event()
        output = encode_picture("PNG", (1_000, 1_000))
        base = start_peak()
        pausing = asyncio.create_task(measure_pause(stop))
        outputs = asyncio.create_task(take_output(media, output))
        started = time.perf_counter()
        answers = await asyncio.gather(*(take(media, data) for data in pictures))
        seconds, output_seconds = time.perf_counter() - started, await outputs
        stop.set()
        pause = await pausing
        await media.close()
    kilobytes = sum(len(data) for data in pictures) // 1024
    return PictureMeasurement(
        name, kilobytes, base, read_memory("VmHWM"), seconds, pause, output_seconds, tuple(answers)
    )


def measure_in_process(name: str) -> PictureMeasurement:
    """Measure one hostile picture, or "eight at once", in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.pictures", "--one", name]
    # A tracer of coverage would add its own 50 MB.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    root = Path(__file__).parents[1]
    printed = subprocess.run(command, check=True, capture_output=True, text=True, cwd=root, env=environment)
    facts = json.loads(printed.stdout)
    return PictureMeasurement(**facts | {"answers": tuple(facts["answers"])})


def main(arguments: Sequence[str]) -> None:
    if arguments[:1] == ["--one"]:
        name = arguments[1]
        if name in LARGE_OUTPUTS or name == "nine at once":
            outputs = [name] if name in LARGE_OUTPUTS else list(LARGE_OUTPUTS)[:1]
            uploads = [] if name in LARGE_OUTPUTS else [HOSTILE[one]() for one in EIGHT]
            print(json.dumps(asdict(asyncio.run(measure_outputs(outputs, uploads)))))
            return
        pictures = [HOSTILE[one]() for one in (EIGHT if name == "eight at once" else (name,))]
        print(json.dumps(asdict(asyncio.run(measure(name, pictures)))))
        return
    print("| picture | file | memory before | peak | seconds | longest pause | output beside | answer |")
    print("|---|---|---|---|---|---|---|---|")
    for name in (*HOSTILE, "eight at once", *LARGE_OUTPUTS, "nine at once"):
        found = measure_in_process(name)
        print(
            f"| {found.name} | {found.file_kilobytes:,} kB | {found.base_megabytes:.0f} MB "
            f"| {found.peak_megabytes:.0f} MB | {found.seconds:.2f} | {found.longest_pause_seconds * 1000:.0f} ms "
            f"| {found.output_seconds:.2f} s | {found.answers[0] if len(found.answers) == 1 else ''} |"
        )


if __name__ == "__main__":
    main(sys.argv[1:])
