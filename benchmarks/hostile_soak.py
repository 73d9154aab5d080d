"""Measures the whole bot under all kinds of hostile input at once, beside people who draw and chat, and an idle bot.

    python -m benchmarks.hostile_soak [--seconds 120] [--idle-seconds 40] [--runs 1]
    python -m benchmarks.hostile_soak --each --seconds 8

The bot runs as a process on Discord, Slack and the page, with a core of its own; people, platforms, the sandbox and two
processes of attackers of low priority share the other cores. Beside the idle bot, before and after, two processes of
the same priority compute. Figures are without the model's own time. `--each` plays each attack alone and prints what a
request costs the bot.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from benchmarks.speech import compute_percentile
from tests.chaos.soak import FIGURES, ROUND_TRIP_SECONDS, PersonFigures, SoakReport, measure_attacks, soak

MAX_RATIO = 1.5
MAX_MEGABYTES = 1_000


def print_report(report: SoakReport) -> None:
    print(f"round trip {ROUND_TRIP_SECONDS * 1000:.0f} ms, load {report.load:.1f}; p50, p95 in milliseconds")
    for platform, person in report.under_fire.items():
        for name in FIGURES:
            print_figure(f"{platform}: {name}", report.idle[platform], person, name)
    print(f"bot: peak {report.peak_megabytes:.0f} MB (at most {MAX_MEGABYTES}), {report.cpu_share:.0%} of a core")
    print(f"stalls by upper bound in seconds: {report.stalls}; of the loop's own CPU time: {report.own_stalls}")
    for attack, outcomes in sorted(report.outcomes.items()):
        print(f"  {attack}: {dict(outcomes.most_common(6))}")
    asked = sum(person.asked for person in report.under_fire.values())
    answered = sum(person.answered for person in report.under_fire.values())
    print(
        f"{answered} of {asked} asks answered; {report.unnotified_jobs} jobs without an end; held {report.held_micros}"
    )
    print(f"ledger: {report.ledger_report}")
    for name in ("broken", "violations", "leaked_requests"):
        for line in getattr(report, name)[:10]:
            print(f"{name.upper()}: {line[:3000]}")


def print_figure(title: str, idle: PersonFigures, fire: PersonFigures, name: str) -> None:
    before, after = idle.seconds[name], fire.seconds[name]
    if min(len(before), len(after)) < 2:
        print(f"{title}: too few asks")
        return
    (p50, p95), (fire_p50, fire_p95) = ([compute_percentile(of, n) * 1000 for n in (50, 95)] for of in (before, after))
    ratio = fire_p50 / p50
    mark = "" if ratio <= MAX_RATIO else " !"
    print(
        f"{title:24} idle {p50:4.0f}, {p95:4.0f} ({len(before)}); "
        f"under fire {fire_p50:4.0f}, {fire_p95:4.0f} ({len(after)}); ratio {ratio:.2f}{mark}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--idle-seconds", type=float, default=40)
    parser.add_argument("--speed", type=float, default=0.5)
    parser.add_argument("--words", type=int, default=2_000)
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--each", action="store_true", help="the bot's CPU time per request of each attack alone")
    given = parser.parse_args()
    if given.each:
        with tempfile.TemporaryDirectory() as folder:
            figures = asyncio.run(measure_attacks(Path(folder), seconds=given.seconds, words=given.words))
        for name, (milliseconds, rate) in sorted(figures.items(), key=lambda item: -item[1][0] * item[1][1]):
            print(f"{name:40} {milliseconds:6.1f} ms each, {rate:6.1f}/s, {milliseconds * rate / 10:4.0f} % of a core")
        return
    for _ in range(given.runs):
        with tempfile.TemporaryDirectory() as folder:
            print_report(
                asyncio.run(
                    soak(
                        Path(folder),
                        idle_seconds=given.idle_seconds,
                        fire_seconds=given.seconds,
                        speed=given.speed,
                        words=given.words,
                    )
                )
            )


if __name__ == "__main__":
    main()
