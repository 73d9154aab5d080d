"""Refused and throttled creates, and successful creates with an error as the reply."""

import logging
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bot.backends.http import FAILURES_TO_OPEN
from bot.backends.replicate.backend import ReplicateBackend
from bot.core.replies import Stage
from bot.sandbox.middlewares import SandboxRateLimit
from tests.faults.bench import FaultBench, open_fault_bench

PICTURE = 3_000


async def test_a_create_answered_with_500_is_found_and_not_sent_again(bench: FaultBench) -> None:
    await bench.run("/imagine a fox fault:500")

    assert bench.last.reply.pictures
    assert await bench.spent_micros() == PICTURE
    assert len(bench.predictions) == 1


async def test_without_credit_users_read_a_plain_sentence_and_the_owner_one_log_line(
    bench: FaultBench, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        texts = [await bench.run(f"/imagine a fox {n} fault:402") for n in range(3)]
        await bench.run("/imagine a fox")
        await bench.run("/imagine a fox fault:402")

    assert set(texts) == {"⚠ The bot cannot pay for models right now. Its owner has to look after its account."}
    told = [record for record in caplog.records if record.getMessage() == "backend.out_of_credit"]
    assert [record.levelno for record in told] == [logging.ERROR] * 2  # once for each episode
    assert await bench.spent_micros() == PICTURE
    assert len(bench.predictions) == 1


@pytest.mark.parametrize("fault", ["429", "429=20", "storm", "storm=12", "lowcredit"])
async def test_a_throttled_create_waits_and_is_made_once(bench: FaultBench, fault: str) -> None:
    await bench.run(f"/imagine a fox fault:{fault}")

    assert {progress.stage for progress in bench.progress} <= {Stage.QUEUED, Stage.RUNNING}
    assert bench.last.reply.pictures
    assert await bench.spent_micros() == PICTURE
    assert len(bench.predictions) == 1


async def test_a_throttled_job_can_be_stopped(bench: FaultBench) -> None:
    await bench.ask("/imagine a fox fault:429=300")
    await bench.wait_until(lambda: bench.clock.monotonic() > 10)

    await bench.press("cancel")
    await bench.wait_until_done()

    assert bench.last.text == "⏹ Stopped."
    assert await bench.spent_micros() == 0
    assert bench.predictions == []


async def test_a_throttle_of_an_hour_fails_the_job_at_once(bench: FaultBench) -> None:
    text = await bench.run("/imagine a fox fault:429=3600")

    assert text == "⚠ The model service is busy. Try again in 60 minutes."
    assert await bench.spent_micros() == 0
    assert bench.predictions == []


@pytest.mark.parametrize(
    "options",
    [
        {"rate_limit": True, "create_limit": SandboxRateLimit(600, burst=10)},
        {"low_credit": True, "create_limit": SandboxRateLimit(600, burst=10)},
    ],
    ids=["small burst", "low credit"],
)
async def test_many_at_once_under_a_limit_all_end(tmp_path: Path, options: dict[str, Any]) -> None:
    asks = 12 if "low_credit" in options else 60
    async with open_fault_bench(tmp_path, **options) as limited:
        for n in range(asks):
            await limited.ask(f"/chat Tell me about budgets, number {n}.")
        await limited.wait_until_done()

        assert len(limited.platform.messages) == asks
        assert all(len(message.text) > 20 for message in limited.platform.messages.values())
        assert len(limited.predictions) == asks
        assert await limited.spent_micros() > 0


async def test_during_an_outage_requests_are_refused_at_once_with_the_wait(bench: FaultBench) -> None:
    await bench.ask("/imagine a fox fault:slow=200")  # a job that goes on during the outage
    await bench.wait_until(lambda: len(bench.predictions) == 1)
    replicate = bench.app.backends["replicate"]
    assert isinstance(replicate, ReplicateBackend)
    breaker = replicate.client.api.circuit_breaker

    with pytest.MonkeyPatch.context() as outage:
        outage.setattr(breaker, "record_success", lambda: None)  # a reply of before, on its way to the running job
        for _ in range(FAILURES_TO_OPEN):
            breaker.record_failure()
        refused = await bench.ask("/imagine an owl")
        async with aiohttp.ClientSession() as http, http.get(bench.url + "/readyz") as ready:
            readiness = (ready.status, (await ready.json())["checks"]["replicate"]["ok"])

    assert refused is not None
    assert refused.text == "The model service cannot be reached right now. Try again in 15 seconds."
    assert readiness == (503, False)
    assert len(bench.platform.messages) == 1
    await bench.wait_until_done()  # the running job's watch is answered, which closes the circuit
    await bench.run("/imagine an owl")
    assert bench.last.reply.pictures
    assert await bench.spent_micros() == PICTURE
