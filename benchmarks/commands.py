"""Measure the trunk's own time for the four first commands, beside the same of an earlier commit, in turns.

    python -m benchmarks.commands --against 16fe212

The models answer at once: the figures are what the bot itself needs from an ask to the delivered answer, with its
database on disk. CPU time is compared, since other work on the machine moves the wall-clock time. Each command has a
channel of its own, so that both trees do the same work; the chat that sees draws before in its channel, and a tree
without sight answers there from the words alone.
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
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASKS = 40
ROUNDS = 5
PICTURED = "/imagine a fox"
COMMANDS = {
    "/imagine": PICTURED,
    "/upscale": "/upscale",
    "/caption": "/caption",
    "/chat": "/chat tell me about foxes",
    "/chat, seeing": "/chat tell me about foxes",
}
_WITH_PICTURE = ("/upscale", "/caption")
Figures = dict[str, dict[str, list[float]]]
"""The figures of each ask, by command and kind: CPU milliseconds, transactions, and statements."""


def count_database_work() -> dict[str, int]:
    """Return a count of the transactions and statements of this process that grows from now on."""
    from bot.storage.connection import Statements
    from bot.storage.database import Transaction

    counts = {"transactions": 0, "statements": 0}
    counted_calls = (
        ("transactions", Transaction, "__init__"),
        ("statements", Statements, "run"),
        ("statements", Statements, "post"),
    )
    for kind, owner, method in counted_calls:
        if (plain := getattr(owner, method, None)) is None:  # an earlier commit posts no statements
            continue

        def counted(*arguments: object, _kind: str = kind, _plain: Callable[..., object] = plain) -> object:
            counts[_kind] += 1
            return _plain(*arguments)

        setattr(owner, method, counted)
    return counts


async def measure() -> Figures:
    """Return the figures of the tree in the working folder."""
    from tests.bench import Bench
    from tests.fakes.backend import make_png
    from tests.fakes.samples import CHANNEL

    figures: Figures = {name: {"ms": [], "transactions": [], "statements": []} for name in COMMANDS}
    counts = count_database_work()
    with tempfile.TemporaryDirectory() as folder:
        bench = await Bench.open(Path(folder), daily_credits=1_000_000, jobs_per_minute=1_000_000)
        picture = make_png(640, 400)
        for n in range(ASKS + 2):
            for name, line in COMMANDS.items():
                channel = replace(CHANNEL, id=name)
                if name == "/chat, seeing":
                    await bench.say(PICTURED, channel=channel)
                before = dict(counts)
                started = time.process_time()
                image = picture if name in _WITH_PICTURE else None
                refused = await bench.say(line, channel=channel, image=image)
                seconds = time.process_time() - started
                if refused is not None:
                    raise RuntimeError(refused.text)
                if n >= 2:  # the first asks load modules and fill caches
                    figures[name]["ms"].append(seconds * 1000)
                    for kind, count in counts.items():
                        figures[name][kind].append(count - before[kind])
        await bench.close()
    return figures


def run_in(tree: Path) -> Figures:
    """Return the figures of another tree, measured by this file in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, str(Path(__file__).resolve()), "--child"]
    answer = subprocess.run(command, cwd=tree, env=environment, check=True, capture_output=True, text=True)
    figures: Figures = json.loads(answer.stdout.splitlines()[-1])
    return figures


def compare(commit: str) -> None:
    """Print the medians of both trees and the ratio of their times."""
    seen: dict[str, list[Figures]] = {"now": [], "before": []}
    with tempfile.TemporaryDirectory() as folder:
        before = Path(folder) / "before"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(before), commit], check=True)
        try:
            for _ in range(ROUNDS):
                for tree, path in (("now", ROOT), ("before", before)):
                    seen[tree].append(run_in(path))
        finally:
            subprocess.run([*git, "remove", "--force", str(before)], check=True)

    def median(tree: str, name: str, kind: str) -> float:
        # The best process: the others' work on the machine slows whole processes down.
        return min(statistics.median(figures[name][kind]) for figures in seen[tree])

    print(f"{'':14} {'CPU now':>10} {commit:>10}  ratio   transactions, statements now and before")
    for name in COMMANDS:
        now, then = (median(tree, name, "ms") for tree in ("now", "before"))
        work = "   ".join(
            f"{median(tree, name, 'transactions'):.0f}, {median(tree, name, 'statements'):.0f}" for tree in seen
        )
        print(f"{name:14} {now:7.1f} ms {then:7.1f} ms   {now / then:.2f}   {work}")


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
