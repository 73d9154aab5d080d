"""The metrics page, and the lag of the loop on it."""

import asyncio
import time

from prometheus_client.exposition import CONTENT_TYPE_LATEST

from bot.telemetry import metrics
from bot.telemetry.loop import measure_loop_lag

FIXED_LABELS = {"command", "platform", "backend", "outcome"}


def value(name: str, **labels: str) -> float:
    return metrics.REGISTRY.get_sample_value(name, labels) or 0.0


def test_the_page_shows_what_was_counted() -> None:
    metrics.jobs.labels(command="imagine", platform="web", outcome="delivered").inc()

    page = metrics.render().decode()

    assert 'easel_jobs_total{command="imagine",outcome="delivered",platform="web"}' in page
    assert metrics.CONTENT_TYPE == CONTENT_TYPE_LATEST


def test_labels_come_from_fixed_sets_and_names_are_ours() -> None:
    for metric in metrics.REGISTRY.collect():
        assert metric.name.startswith("easel_")
        assert metric.documentation
        for sample in metric.samples:
            assert set(sample.labels) <= FIXED_LABELS | {"le"}


async def test_a_blocked_loop_is_seen() -> None:
    before = value("easel_loop_lag_seconds_sum")
    task = asyncio.create_task(measure_loop_lag(seconds_between=0.001))
    await asyncio.sleep(0)

    time.sleep(0.05)  # noqa: ASYNC251 - blocking is meant
    await asyncio.sleep(0.002)
    task.cancel()

    assert value("easel_loop_lag_seconds_sum") - before >= 0.04
