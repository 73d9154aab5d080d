"""Measure the start: from a fresh clone to the page (cold), from a second start to the page (warm), and memory.

    python -m benchmarks.start                       warm starts and memory
    python -m benchmarks.start --cold                also a first run in a fresh clone: installs packages
    python -m benchmarks.start --against 16fe212     warm starts and memory of the last commit beside an earlier one

Baseline in the same run: a Python that imports aiohttp and serves one page. `--against` clones both commits, installs
the packages of each commit's own lock, and starts the clones in turns: a stranger has no packages for development,
of which httpx imports 5 MB. CPU seconds are printed too, since other work on the machine moves the wall-clock time.
`--cold` and `--against` need the network.
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
from dataclasses import dataclass
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


@dataclass(frozen=True)
class StartFigures:
    """The figures of one start. `private_megabytes` no other process shares."""

    seconds: float
    cpu_seconds: float
    resident_megabytes: float
    proportional_megabytes: float
    private_megabytes: float


@contextlib.contextmanager
def run_server(command: Sequence[str], folder: Path, root: Path = ROOT) -> Iterator[tuple[float, int]]:
    """Start a server; return the seconds until the page was read, and the process id."""
    began = time.perf_counter()
    environment = {**os.environ, "DATA_DIR": str(folder), "PORT": "0", "PYTHONUNBUFFERED": "1"}
    quiet = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=root, env=environment, text=True, **quiet) as process:  # type: ignore[call-overload]  # options of one type
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


def read_cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process until now, from /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure_demo(root: Path, folder: Path) -> StartFigures:
    """Start the demo of a clone, read the page, and return the figures."""
    with run_server([str(root / ".venv/bin/python"), "-m", "bot", "demo", "--no-browser"], folder, root) as (took, pid):
        cpu_seconds, resident = read_cpu_seconds(pid), read_resident_megabytes(pid)
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii")
    sizes = {name: int(size) / 1000 for name, size in re.findall(r"^(\w+):\s+(\d+) kB", rollup, re.MULTILINE)}
    return StartFigures(took, cpu_seconds, resident, sizes["Pss"], sizes["Private_Clean"] + sizes["Private_Dirty"])


def compare(commits: Sequence[str]) -> None:
    """Print the medians of warm starts of several commits, each in a clone of its own, in turns."""
    with tempfile.TemporaryDirectory() as folder:
        clones = {commit: _set_up_clone(Path(folder), commit) for commit in commits}
        starts: dict[str, list[StartFigures]] = {commit: [] for commit in commits}
        for n in range(REPEATS + 1):
            for commit, clone in clones.items():
                start = measure_demo(clone, clone / "data")
                if n:  # the first start creates the database
                    starts[commit].append(start)
    for commit, figures in starts.items():
        print(
            f"{commit:10} start → page {statistics.median(one.seconds for one in figures):.2f} s, "
            f"CPU {statistics.median(one.cpu_seconds for one in figures):.2f} s "
            f"(best {min(one.cpu_seconds for one in figures):.2f}), "
            f"{statistics.median(one.resident_megabytes for one in figures):.1f} MB resident, "
            f"{statistics.median(one.proportional_megabytes for one in figures):.1f} proportional, "
            f"{statistics.median(one.private_megabytes for one in figures):.1f} private"
        )


def _set_up_clone(folder: Path, commit: str) -> Path:
    """Clone a commit, install the packages of its lock, and compile the modules by a first run."""
    clone = folder / commit
    subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)  # noqa: S607 - git of the path
    subprocess.run(["git", "checkout", "-q", commit], cwd=clone, check=True)  # noqa: S607 - git of the path
    first_run = [_system_python(), "run.py", "demo", "--once", "/help"]
    subprocess.run(first_run, cwd=clone, check=True, stdout=subprocess.DEVNULL)
    return clone


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
    parser.add_argument("--against", metavar="COMMIT")
    options = parser.parse_args()
    if options.against:
        line = ["git", "rev-parse", "--short", "HEAD"]
        head = subprocess.run(line, cwd=ROOT, capture_output=True, check=True, text=True)
        compare([head.stdout.strip(), options.against])
        return
    if options.cold:
        measure_cold_start()
    baseline = measure_warm_start("aiohttp, one page", [sys.executable, "-c", BASELINE])
    demo = measure_warm_start("demo", [sys.executable, "-m", "bot", "demo", "--no-browser"])
    through_run = measure_warm_start("demo through run.py", [sys.executable, "run.py", "demo", "--no-browser"])
    print(f"{'':24} demo is {demo / baseline:.1f} × the baseline; run.py adds {through_run - demo:.2f} s")


if __name__ == "__main__":
    main()
