"""All metrics of the bot. Labels come from fixed sets: labels of users, channels or prompts would grow without end."""

import asyncio

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

REGISTRY = CollectorRegistry()

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
