"""Measure the start: from a fresh clone to the page (cold), from a second start to the page (warm), and memory.

    python -m benchmarks.start            warm starts and memory
    python -m benchmarks.start --cold     also a first run in a fresh clone: installs packages, needs the network

Baseline in the same run: a Python that imports aiohttp and serves one page.
"""

import argparse
import contextlib
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 7
BASELINE = """
import asyncio
from aiohttp import web
async def main():
    app = web.Application()
    app.add_routes([web.get("/", lambda request: web.Response(text="hello"))])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print("http://127.0.0.1:%d/" % runner.addresses[0][1], flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@contextlib.contextmanager
def run_server(command: Sequence[str], folder: Path) -> Iterator[tuple[float, int]]:
    """Start a server; return the seconds until the page was read, and the process id."""
    began = time.perf_counter()
    environment = {**os.environ, "DATA_DIR": str(folder), "PORT": "0", "PYTHONUNBUFFERED": "1"}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=ROOT, env=environment, text=True, **quiet) as process:  # type: ignore[call-overload]  # options of one type
        try:
            yield _seconds_to_page(process, began), process.pid
        finally:
            process.send_signal(signal.SIGINT)


def _seconds_to_page(process: "subprocess.Popen[str]", began: float) -> float:
    assert process.stdout is not None  # noqa: S101 - a pipe was asked for
    for line in process.stdout:
        if found := re.search(r"http://[\d.]+:\d+/", line):
            with urllib.request.urlopen(found[0]) as page:  # noqa: S310 - our own page
                page.read()
            return time.perf_counter() - began
    raise SystemExit("The server ended before it served anything.")


def read_resident_megabytes(pid: int) -> float:
    """Return the resident memory of a process in MB, from /proc."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1000  # type: ignore[index]  # every status file has the line


def measure_warm_start(name: str, command: Sequence[str]) -> float:
    """Print and return the median of several warm starts, in seconds."""
    seconds, megabytes = [], 0.0
    with tempfile.TemporaryDirectory() as folder:
        for n in range(REPEATS + 1):
            with run_server(command, Path(folder)) as (took, pid):
                megabytes = read_resident_megabytes(pid)
            if n:  # the first start creates the database
                seconds.append(took)
    median = statistics.median(seconds)
    print(f"{name:24} start → page {median:.2f} s (worst {max(seconds):.2f}), {megabytes:.0f} MB resident")
    return median


def measure_cold_start() -> None:
    """Print the seconds of a first run in a fresh clone, including the installation."""
    with tempfile.TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)  # noqa: S607 - git of the path
        began = time.perf_counter()
        line = [_system_python(), "run.py", "demo", "--once", "/help"]
        subprocess.run(line, cwd=clone, check=True, stdout=subprocess.DEVNULL)
        print(f"{'first run, cold':24} {time.perf_counter() - began:.1f} s until the first answer")
        began = time.perf_counter()
        subprocess.run(line, cwd=clone, check=True, stdout=subprocess.DEVNULL)
        print(f"{'second run':24} {time.perf_counter() - began:.2f} s until the first answer")


def _system_python() -> str:
    return shutil.which("python3", path=os.defpath) or str(getattr(sys, "_base_executable", sys.executable))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cold", action="store_true")
    if parser.parse_args().cold:
        measure_cold_start()
    baseline = measure_warm_start("aiohttp, one page", [sys.executable, "-c", BASELINE])
    demo = measure_warm_start("demo", [sys.executable, "-m", "bot", "demo", "--no-browser"])
    through_run = measure_warm_start("demo through run.py", [sys.executable, "run.py", "demo", "--no-browser"])
    print(f"{'':24} demo is {demo / baseline:.1f} × the baseline; run.py adds {through_run - demo:.2f} s")


if __name__ == "__main__":
    main()
