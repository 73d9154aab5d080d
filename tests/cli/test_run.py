"""The process of the bot: garbage collection, the priority of threads, and freed memory."""

import asyncio
import gc
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

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
