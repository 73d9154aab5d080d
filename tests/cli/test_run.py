"""The process of the bot: garbage collection, the priority of threads, and freed memory."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.cli.run import favour_event_loop, freeze_startup_objects

FREEING = """
import sys
from pathlib import Path

from bot.cli.run import return_freed_memory

def read_megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 // 1_000_000

return_freed_memory()
for _ in range(2):
    blocks, small = [], []
    for _ in range(8):
        blocks.append(b"x" * (16 << 20))
        small.append(b"y" * 100_000)
    held = read_megabytes()
    del blocks
    kept = read_megabytes()
print(held - kept)
"""


STARTING = """
import sys
import bot.cli.demo
import bot.cli.run
from bot.cli import main

async def name_modules() -> None:
    print(*sys.modules)

bot.cli.run.wait_for_stop_signal = name_modules
bot.cli.demo.offer_local_models = lambda folder: None  # another program of this machine may listen
sys.exit(main(["demo", "--no-browser"]))
"""

LOADED_AT_FIRST_USE = (
    "PIL.ImageFont",
    "alembic",
    "asyncpg",
    "bot.backends.a1111",
    "bot.backends.cog",
    "bot.backends.comfyui",
    "bot.backends.openai",
    "bot.platforms.discord.connection",
    "bot.platforms.slack.connection",
    "bot.sandbox.server",
    "cryptography",
    "discord",
    "pillow_heif",
    "pypdf",
    "slack_bolt",
    "slack_sdk",
    "sqlalchemy.dialects.postgresql",
    "sqlalchemy.orm",
    "tomlkit",
)
"""Modules that one platform, one engine, a rare command or the first request needs: they cost memory and seconds."""


@pytest.fixture
def collector() -> Iterator[None]:
    """Restore the garbage collector's thresholds. Objects stay exempt, as tests/conftest.py begins."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


@pytest.mark.usefixtures("collector")
def test_startup_objects_are_exempt_from_collection() -> None:
    startup_object = [{"a": 1}]
    freeze_startup_objects()
    later_object = [{"b": 2}]

    collectable = {id(item) for item in gc.get_objects()}

    assert id(startup_object) not in collectable
    assert id(later_object) in collectable


@pytest.fixture
def switch_interval() -> Iterator[None]:
    before = sys.getswitchinterval()
    yield
    sys.setswitchinterval(before)


@pytest.mark.skipif(sys.platform != "linux", reason="priorities belong to threads on Linux alone")
@pytest.mark.usefixtures("switch_interval")
async def test_worker_threads_yield_to_the_event_loop() -> None:
    def read_priority() -> int:
        return os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    favour_event_loop()
    ours, theirs = read_priority(), await asyncio.to_thread(read_priority)

    assert theirs == min(ours + 10, 19)
    assert read_priority() == ours
    assert sys.getswitchinterval() < 0.001


@pytest.mark.skipif(sys.platform != "linux", reason="the C library's options are glibc's")
def test_large_freed_blocks_return_to_the_system() -> None:
    # A tracer of coverage would allocate between the blocks, and change the free space around them.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    freeing = subprocess.run([sys.executable, "-c", FREEING], capture_output=True, check=True, env=environment)

    # Without the option nearly always none of the 134 MB: a small block stands above each large block in the heap.
    assert int(freeing.stdout) > 100


def test_a_started_demo_has_loaded_what_the_page_needs(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    environment = {**os.environ, "DATA_DIR": str(tmp_path), "HTTP_PORT": "0", "PYTHONPATH": str(root)}

    started = subprocess.run(
        [sys.executable, "-c", STARTING], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )

    loaded = set(started.stdout.split())
    assert "bot.platforms.web.routes" in loaded
    assert loaded & set(LOADED_AT_FIRST_USE) == set()
