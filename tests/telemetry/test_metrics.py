"""The metrics page: each metric is counted by the path that it describes."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CONTENT_TYPE_LATEST

from bot.core.backend import RunMetrics
from bot.core.errors import InputRefused
from bot.core.platform import MessageLost
from bot.server.server import Server
from bot.telemetry import metrics
from bot.telemetry.metrics import measure_loop_lag, run_measured
from tests.bench import Bench
from tests.fakes.backend import TRANSIENT_ERROR

FIXED_LABELS = {"command", "platform", "backend", "outcome"}
FOX = "/imagine a fox"
PRICE = 3_000


class Page:
    """The page at /metrics, read over HTTP. `added` returns the changes since the last `forget`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._before: dict[str, float] = {}

    async def read(self) -> dict[str, float]:
        """Return the value of every sample, by its name with labels."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self._port}/metrics") as response,
        ):
            assert response.headers["Content-Type"] == CONTENT_TYPE_LATEST
            text = await response.text()
        lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    async def forget(self) -> None:
        self._before = await self.read()

    async def added(self, name: str) -> dict[str, float]:
        """Return the change of each changed sample of a metric, by the sample's labels."""
        now = await self.read()
        changes = {sample: value - self._before.get(sample, 0) for sample, value in now.items()}
        return {
            sample.removeprefix(name): change
            for sample, change in changes.items()
            if change and sample.partition("{")[0] == name
        }


@pytest.fixture
def collected() -> Callable[[str], float]:
    """Returns the change of a sample since the start of the test."""

    def read(name: str) -> float:
        return metrics.REGISTRY.get_sample_value(name) or 0.0

    names = {sample.name for metric in metrics.REGISTRY.collect() for sample in metric.samples if not sample.labels}
    before = {name: read(name) for name in names}
    return lambda name: read(name) - before[name]


@pytest.fixture
async def page() -> AsyncIterator[Page]:
    server = Server("127.0.0.1", 0, [], {})
    _, port = await server.start()
    page = Page(port)
    await page.forget()
    yield page
    await server.stop()


def format_job_labels(outcome: str, command: str = "imagine") -> str:
    return f'{{command="{command}",outcome="{outcome}",platform="web"}}'


async def test_a_delivered_job_is_counted_with_its_seconds(bench: Bench, page: Page) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say(FOX)
    open_meanwhile = (await page.read())["easel_jobs_open"]
    await bench.advance_time(3)
    bench.backend.last_run.released.set()
    await bench.wait_until(lambda: not bench.app.runner.running_count)

    assert await page.added("easel_jobs_total") == {format_job_labels("delivered"): 1}
    assert await page.added("easel_job_seconds_count") == {'{command="imagine",platform="web"}': 1}
    assert await page.added("easel_job_seconds_sum") == {
        '{command="imagine",platform="web"}': pytest.approx(3, abs=0.01)
    }
    assert open_meanwhile == 1
    assert (await page.read())["easel_jobs_open"] == 0


async def test_a_failed_job_is_counted(bench: Bench, page: Page) -> None:
    bench.backend.will(error="out of memory")

    await bench.say(FOX)

    assert await page.added("easel_jobs_total") == {format_job_labels("failed"): 1}


async def test_a_cancelled_job_is_counted(bench: Bench, page: Page) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say(FOX)

    await bench.press("cancel")

    assert await page.added("easel_jobs_total") == {format_job_labels("cancelled"): 1}


async def test_an_undeliverable_job_is_counted(bench: Bench, page: Page) -> None:
    bench.backend.will(hangs_after=0)
    await bench.say(FOX)
    bench.platform.will_lose(bench.last_message.ref.id)

    bench.backend.last_run.released.set()
    await bench.wait_until(lambda: not bench.app.runner.running_count)

    assert await page.added("easel_jobs_total") == {format_job_labels("undeliverable"): 1}
    assert await page.added("easel_job_seconds_count") == {}


async def test_predictions_and_their_cost_are_counted(bench: Bench, page: Page) -> None:
    await bench.say(FOX)
    assert await page.added("easel_predictions_total") == {'{backend="replicate",outcome="succeeded"}': 1}
    assert await page.added("easel_spent_micros_total") == {'{backend="replicate"}': PRICE}
    await page.forget()

    bench.backend.will(hangs_after=0, metrics=RunMetrics(predict_seconds=0.5))
    await bench.say("/imagine a fox --model sdxl")
    await bench.press("cancel")
    assert await page.added("easel_predictions_total") == {'{backend="replicate",outcome="canceled"}': 1}
    assert await page.added("easel_spent_micros_total") == {'{backend="replicate"}': 488}


async def test_both_runs_of_a_retried_job_are_counted(bench: Bench, page: Page) -> None:
    bench.backend.will(error=TRANSIENT_ERROR, hangs_after=0)
    await bench.say("/imagine a fox --model sdxl")
    bench.backend.will(error="", hangs_after=None)
    bench.backend.last_run.released.set()
    await bench.advance_time(10)

    one_run = 1_463  # 1.5 s of SDXL
    assert await page.added("easel_predictions_total") == {
        '{backend="replicate",outcome="failed"}': 1,
        '{backend="replicate",outcome="succeeded"}': 1,
    }
    assert await page.added("easel_spent_micros_total") == {'{backend="replicate"}': 2 * one_run}


async def test_a_refused_create_is_counted_as_lost_and_costs_nothing(bench: Bench, page: Page) -> None:
    bench.backend.submit_error = InputRefused("The model does not take that.")

    await bench.say(FOX)

    assert await page.added("easel_predictions_total") == {'{backend="replicate",outcome="lost"}': 1}
    assert await page.added("easel_spent_micros_total") == {}


async def test_holds_are_counted(tmp_path: Path, page: Page) -> None:
    bench = await Bench.open(tmp_path, daily_credits=4.0)
    bench.backend.will(hangs_after=0)

    await bench.say(FOX)
    assert await page.added("easel_holds_total") == {'{outcome="held"}': 1}
    await bench.say(FOX)
    assert await page.added("easel_holds_total") == {'{outcome="held"}': 1, '{outcome="refused"}': 1}
    bench.backend.last_run.released.set()
    await bench.wait_until(lambda: not bench.app.runner.running_count)
    assert (await page.added("easel_holds_total"))['{outcome="settled"}'] == 1
    await bench.close()


async def test_a_budget_without_room_is_counted_as_a_refused_hold(tmp_path: Path, page: Page) -> None:
    bench = await Bench.open(tmp_path, monthly_budget_usd=Decimal("0.001"))

    await bench.say(FOX)

    assert await page.added("easel_holds_total") == {'{outcome="refused"}': 1}
    await bench.close()


async def test_a_released_hold_is_counted(bench: Bench, page: Page) -> None:
    bench.backend.will(error="out of memory")

    await bench.say(FOX)

    assert await page.added("easel_holds_total") == {'{outcome="held"}': 1, '{outcome="released"}': 1}


async def test_posts_and_edits_are_counted_by_their_outcome(bench: Bench, page: Page) -> None:
    await bench.say(FOX)
    shown = (await page.added("easel_edits_total"))['{outcome="shown",platform="web"}']
    assert shown == len(bench.last_message.history)

    bench.backend.will(hangs_after=0)
    await bench.say(FOX)
    await page.forget()
    bench.platform.will_fail(ConnectionResetError(), MessageLost("It is gone."))
    bench.backend.last_run.released.set()
    await bench.advance_time(10)

    assert await page.added("easel_edits_total") == {
        '{outcome="failed",platform="web"}': 1,
        '{outcome="lost",platform="web"}': 1,
    }


def test_labels_come_from_fixed_sets_and_names_have_the_prefix() -> None:
    for metric in metrics.REGISTRY.collect():
        assert metric.name.startswith("easel_")
        assert metric.documentation
        for sample in metric.samples:
            assert set(sample.labels) <= FIXED_LABELS | {"le"}


async def test_a_blocked_event_loop_is_measured(page: Page) -> None:
    task = asyncio.create_task(measure_loop_lag(seconds_between=0.001))
    await asyncio.sleep(0)

    time.sleep(0.05)  # noqa: ASYNC251 - blocking is meant
    await asyncio.sleep(0.002)
    task.cancel()

    assert (await page.added("easel_loop_lag_seconds_sum"))[""] >= 0.04


def test_a_stall_of_the_event_loop_is_measured_with_its_own_work(collected: Callable[[str], float]) -> None:
    async def stall() -> None:
        await asyncio.sleep(0)
        time.sleep(0.05)  # noqa: ASYNC251 - waiting for a lock or a core is meant
        await asyncio.sleep(0)
        ends_at = time.thread_time() + 0.03
        while time.thread_time() < ends_at:
            pass
        await asyncio.sleep(0)

    run_measured(stall())

    assert collected("easel_loop_stall_seconds_count") >= 2  # a busy machine adds some
    assert collected("easel_loop_stall_seconds_sum") >= 0.08
    assert collected("easel_loop_stall_cpu_seconds_count") == 1
    assert collected("easel_loop_stall_cpu_seconds_sum") >= 0.03
