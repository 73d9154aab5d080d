"""`/deployments`: the owner's models on hardware of their own, through the sandbox."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from bot.core.errors import SubmitUnclear
from bot.core.invocations import Invocation
from bot.core.people import User
from bot.settings import Owner
from tests.bench import Bench
from tests.commands.run_bench import RunBench
from tests.fakes.samples import CHANNEL, MODERATOR, OWNER
from tests.faults.bench import open_fault_bench

CREATE = "/deployments create fast stability-ai/sdxl gpu-l40s"
IDLE_NOTICE = (
    "The deployment `sandbox/fast` keeps 2 instances running on gpu-l40s, and nobody asked me for it in the last day. "
    "That costs $168.48 a day. `/deployments scale fast --min 0` stops it."
)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[RunBench]:
    async with open_fault_bench(tmp_path, changes={"admin_users": (Owner("web", "page", "owner"),)}) as opened:
        yield RunBench(opened)


async def confirm(bench: RunBench, line: str, by: User = OWNER) -> str:
    await bench.say(line, by=by)
    return await bench.press("confirm", by=by)


async def test_the_owner_runs_a_model_on_hardware_of_their_own(bench: RunBench) -> None:
    assert await bench.say("/deployments list", by=OWNER) == (
        "There are no deployments. /deployments create makes one."
    )
    assert await bench.say(f"{CREATE} --max 3", by=OWNER) == (
        "Create `fast`: stability-ai/sdxl at version 7762fd07cf82… on gpu-l40s? It costs nothing while nobody asks, "
        "and at most 3 for $10.53 an hour. Replicate bills you; my budgets count the runs alone."
    )
    assert await bench.say("/deployments list", by=OWNER) == (
        "There are no deployments. /deployments create makes one."
    )
    made = await confirm(bench, f"{CREATE} --max 3")
    assert made == (
        "`sandbox/fast` runs stability-ai/sdxl at version 7762fd07cf82… on gpu-l40s: it costs nothing while nobody "
        "asks, and at most 3 for $10.53 an hour. `/deployments use fast` offers it here."
    )
    assert await bench.say("/deployments scale fast --min 2", by=OWNER) == (
        "Scale `sandbox/fast` on gpu-l40s from 0 to 3 instances? It then keeps 2 running for $7.02 an hour also while "
        "nobody asks, and at most 3 for $10.53 an hour."
    )
    assert "keeps 2 running" in await bench.press("confirm", by=OWNER)
    assert "- `sandbox/fast` runs stability-ai/sdxl" in await bench.say("/deployments list", by=OWNER)

    assert "People pay 1 credit a second" in await bench.say("/deployments use fast", by=OWNER)
    assert await bench.press("confirm", by=OWNER) == (
        "`sandbox/fast` is on offer, as `fast` for /imagine. `/model remove fast` withdraws it."
    )
    assert await bench.say("/imagine a fox --model fast") == ""
    await bench.bench.wait_until_done()
    assert bench.bench.predictions[-1].deployment == "sandbox/fast"
    assert bench.bench.last.reply.pictures

    assert "The model fast runs on it, and fails afterwards." in await bench.say("/deployments delete fast", by=OWNER)
    assert "offline and unused" in await bench.press("confirm", by=OWNER)
    await confirm(bench, "/deployments scale fast --min 0")
    bench.bench.sandbox.clock.advance(timedelta(minutes=16).total_seconds())
    assert await confirm(bench, "/deployments delete fast") == "`sandbox/fast` is deleted."


MISTAKES = (
    (CREATE.replace("gpu-l40s", "gpu-t5"), "There is no hardware gpu-t5; there is cpu, gpu-t4, "),
    (CREATE.replace("stability-ai/sdxl", "acme/nothing"), "Replicate shows no model acme/nothing."),
    (f"{CREATE} --min 2", "min is 2 and max is 1: min is at most max."),
    (f"{CREATE} --min 6", "min must be from 0 to 5, not 6."),
    ("/deployments scale fast", "Say min, max or both, such as --min 0 --max 2."),
    ("/deployments scale fast --max 2", "There is no deployment sandbox/fast; yours: none."),
    ("/deployments use fast", "There is no deployment sandbox/fast; yours: none."),
    ("/deployments delete fast", "There is no deployment sandbox/fast; yours: none."),
)


async def test_an_impossible_request_is_one_sentence(bench: RunBench) -> None:
    for line, refusal in MISTAKES:
        assert (await bench.say(line, by=OWNER)).startswith(refusal), refusal
        assert await bench.say(line, by=MODERATOR) == f"/{' '.join(line[1:].split()[:2])} is for my owner."


def list_notices(bench: RunBench) -> list[str]:
    messages = bench.bench.platform.messages.values()
    return [message.text for message in messages if "keeps" in message.text]


async def test_the_owner_hears_once_a_day_of_a_deployment_that_idles(bench: RunBench) -> None:
    idle = bench.bench.app.idle_deployments
    await confirm(bench, f"{CREATE} --min 2 --max 2")

    await idle.look()
    bench.bench.sandbox.clock.advance(timedelta(hours=23).total_seconds())
    await idle.look()
    assert list_notices(bench) == [IDLE_NOTICE]

    bench.bench.sandbox.clock.advance(timedelta(hours=2).total_seconds())
    await idle.look()
    assert list_notices(bench) == [IDLE_NOTICE] * 2

    bench.bench.sandbox.clock.advance(timedelta(hours=25).total_seconds())
    await confirm(bench, "/deployments use fast")
    await bench.say("/imagine a fox --model fast")
    await bench.bench.wait_until_done()
    await idle.look()
    assert list_notices(bench) == [IDLE_NOTICE] * 2


async def test_a_change_that_may_have_arrived_is_not_sent_again(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path)
    bench.backend.deployments.error = SubmitUnclear()
    try:
        invocation = Invocation(OWNER, CHANNEL, "deployments scale", "web:1", {"name": "fast", "min": 1})
        reply = await bench.app.dispatcher.handle(replace(invocation, is_confirmed=True))
        assert reply is not None
        assert reply.text == "I do not know whether that arrived: look at /deployments list before another try."
    finally:
        await bench.close()
