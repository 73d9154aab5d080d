"""Measure the trunk's own time for the four first commands, beside the same of an earlier commit, in turns.

    python -m benchmarks.commands --against 16fe212

The models answer at once: the figures are what the bot itself needs from an ask to the delivered answer, with its
database on disk. CPU time is compared, since other work on the machine moves the wall-clock time.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASKS = 40
ROUNDS = 5
COMMANDS = {
    "imagine": "/imagine a fox",
    "upscale": "/upscale",
    "caption": "/caption",
    "chat": "/chat tell me about foxes",
}
_WITH_PICTURE = ("upscale", "caption")


async def measure() -> dict[str, list[float]]:
    """Return the CPU milliseconds of each ask, by command, of the tree in the working folder."""
    from tests.bench import Bench
    from tests.fakes.backend import make_png

    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        bench = await Bench.open(Path(folder), daily_credits=1_000_000, jobs_per_minute=1_000_000)
        picture = make_png(640, 400)
        for n in range(ASKS + 2):
            for name, line in COMMANDS.items():
                started = time.process_time()
                refused = await bench.say(line, image=picture if name in _WITH_PICTURE else None)
                if refused is not None:
                    raise RuntimeError(refused.text)
                if n >= 2:  # the first asks load modules and fill caches
                    times[name].append((time.process_time() - started) * 1000)
        await bench.close()
    return times


def run_in(tree: Path) -> dict[str, list[float]]:
    """Return the figures of another tree, measured by this file in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, str(Path(__file__).resolve()), "--child"]
    answer = subprocess.run(command, cwd=tree, env=environment, check=True, capture_output=True, text=True)
    figures: dict[str, list[float]] = json.loads(answer.stdout.splitlines()[-1])
    return figures


def compare(commit: str) -> None:
    """Print the medians of both trees and their ratio."""
    seen: dict[str, dict[str, list[float]]] = {tree: {name: [] for name in COMMANDS} for tree in ("now", "before")}
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(before), commit], check=True)
        try:
            for _ in range(ROUNDS):
                for tree, path in (("now", ROOT), ("before", before)):
                    for name, times in run_in(path).items():
                        seen[tree][name] += times
        finally:
            subprocess.run([*git, "remove", "--force", str(before)], check=True)
    print(f"{'command':10} {'now':>9} {commit:>9}  ratio")
    for name in COMMANDS:
        now, then = (statistics.median(seen[tree][name]) for tree in ("now", "before"))
        print(f"/{name:9} {now:6.1f} ms {then:6.1f} ms   {now / then:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", default="16fe212", metavar="COMMIT")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(asyncio.run(measure())))
    else:
        compare(options.against)


if __name__ == "__main__":
    main()
