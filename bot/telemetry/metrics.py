"""All metrics of the bot. Labels come from fixed sets: labels of users, channels or prompts would grow without end."""

import asyncio
import selectors
import sys
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

T = TypeVar("T")

_STALL_BUCKETS = (0.01, 0.015, 0.02, 0.03, 0.04, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 1, 2, 5)

jobs = Counter(
    "easel_jobs", "Jobs whose user was told the end: delivered, failed, cancelled or undeliverable.",
    ["command", "platform", "outcome"], registry=REGISTRY,
)  # fmt: skip
job_seconds = Histogram(
    "easel_job_seconds", "Seconds from accepted to delivered.", ["command", "platform"], registry=REGISTRY,
    buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120, 300, 600),
)  # fmt: skip
jobs_open = Gauge("easel_jobs_open", "Jobs accepted and not yet ended, in this process.", registry=REGISTRY)
predictions = Counter(
    "easel_predictions", "Predictions that ended: the backend's final state, lost or never_sent.",
    ["backend", "outcome"], registry=REGISTRY,
)  # fmt: skip
spent_micros = Counter(
    "easel_spent_micros", "Cost of the predictions that ended, in micro-dollars.", ["backend"], registry=REGISTRY
)
edits = Counter(
    "easel_edits", "Posts and edits of job messages: shown, lost, full or failed.", ["platform", "outcome"],
    registry=REGISTRY,
)  # fmt: skip
rate_limited = Counter("easel_rate_limited", "Answers of 429 from a platform.", ["platform"], registry=REGISTRY)
invalid_requests = Counter(
    "easel_invalid_requests", "Answers of 401, 403 and 429 that a platform counts against the bot.", ["platform"],
    registry=REGISTRY,
)  # fmt: skip
backend_rate_limited = Counter(
    "easel_backend_rate_limited", "Answers of 429 from a backend.", ["backend"], registry=REGISTRY
)
holds = Counter("easel_holds", "Holds on accounts: held, settled, released or refused.", ["outcome"], registry=REGISTRY)
loop_lag_seconds = Histogram(
    "easel_loop_lag_seconds", "How late the event loop runs what is due, in seconds.", registry=REGISTRY,
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5),
)  # fmt: skip

loop_stall_seconds = Histogram(
    "easel_loop_stall_seconds", "Seconds between two looks of the event loop at its sockets, from 10 ms on.",
    registry=REGISTRY, buckets=_STALL_BUCKETS,
)  # fmt: skip
loop_stall_cpu_seconds = Histogram(
    "easel_loop_stall_cpu_seconds", "The part of these seconds that the loop's own thread computed, from 10 ms on.",
    registry=REGISTRY, buckets=_STALL_BUCKETS,
)  # fmt: skip


def render_metrics() -> bytes:
    """Return the page for /metrics in Prometheus' text format."""
    return generate_latest(REGISTRY)


async def measure_loop_lag(seconds_between: float = 0.5) -> None:
    """Observe the lag of the event loop until cancelled: blocking code delays every user by the lag."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + seconds_between
        await asyncio.sleep(seconds_between)
        loop_lag_seconds.observe(max(0.0, loop.time() - due))


class StallSelector(selectors.DefaultSelector):
    """Observes each stall: while callbacks run, the event loop sees no new bytes, timers or results of threads.

    On a busy machine a stall also contains waiting for a core or for the interpreter's lock; the CPU seconds do not.
    """

    def __init__(self) -> None:
        super().__init__()
        self._returned_at = float("inf")
        self._cpu_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        stalled = time.perf_counter() - self._returned_at
        if stalled >= _STALL_BUCKETS[0]:
            loop_stall_seconds.observe(stalled)
            if (computed := time.thread_time() - self._cpu_seconds) >= _STALL_BUCKETS[0]:
                loop_stall_cpu_seconds.observe(computed)
        ready = super().select(timeout)
        self._cpu_seconds = time.thread_time()
        self._returned_at = time.perf_counter()
        return ready


def run_measured(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine as `asyncio.run` does, on an event loop whose stalls are measured."""
    with asyncio.Runner(loop_factory=_make_loop) as runner:
        return runner.run(work)


def _make_loop() -> asyncio.AbstractEventLoop:
    # The loop of Windows has no selector, and goes unmeasured.
    return asyncio.new_event_loop() if sys.platform == "win32" else asyncio.SelectorEventLoop(StallSelector())
