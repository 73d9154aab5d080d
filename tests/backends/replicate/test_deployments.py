"""Deployments: administration, and predictions through the deployment of a catalogue entry."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bot.backends.predictions import parse_prediction
from bot.backends.replicate import client
from bot.backends.replicate.backend import ReplicateBackend
from bot.core.backend import PredictionState, RunEnded
from bot.core.clock import SystemClock
from bot.core.errors import InputRefused, PredictionGone, SubmitUnclear
from bot.core.json import JSON
from bot.sandbox.server import Sandbox, SandboxOptions
from tests.backends.replicate.samples import PAINTER, PIN, PINNED_PAINTER, TOKEN, make_prediction
from tests.backends.replicate.scripted_server import ScriptedResponse, ScriptedServer, hang_up

DEPLOYED = replace(PINNED_PAINTER, version="", deployment="sandbox/fast")
SMALL: dict[str, JSON] = {"prompt": "a fox", "width": 64, "height": 64, "seed": 7}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    sandbox = Sandbox(SandboxOptions(token=TOKEN, speed=0.0))
    await sandbox.start()
    yield sandbox
    await sandbox.stop()


@pytest.fixture
async def replicate(sandbox: Sandbox) -> AsyncIterator[ReplicateBackend]:
    backend = ReplicateBackend(sandbox.url, TOKEN, SystemClock())
    yield backend
    await backend.close()


async def make(replicate: ReplicateBackend) -> None:
    await replicate.client.deployments.create("fast", model="stability-ai/sdxl", version=PIN, hardware="gpu-t4")


async def test_a_deployment_is_created_changed_and_deleted(replicate: ReplicateBackend) -> None:
    deployments = replicate.client.deployments
    await make(replicate)

    changed = await deployments.update("sandbox/fast", max_instances=3, hardware="cpu")

    assert changed == await deployments.get("sandbox/fast")
    assert [item async for item in deployments.list()] == [changed]
    assert (changed.model, changed.version, changed.release) == ("stability-ai/sdxl", PIN, 2)
    assert (changed.hardware, changed.min_instances, changed.max_instances) == ("cpu", 0, 3)
    await deployments.delete("sandbox/fast")
    with pytest.raises(PredictionGone):
        await deployments.get("sandbox/fast")


async def test_a_refusal_of_replicate_is_raised(replicate: ReplicateBackend) -> None:
    await make(replicate)
    await replicate.client.deployments.update("sandbox/fast", min_instances=1)

    with pytest.raises(InputRefused, match="offline and unused"):
        await replicate.client.deployments.delete("sandbox/fast")
    with pytest.raises(InputRefused):
        await make(replicate)


async def test_a_broken_create_is_not_sent_twice(client_backend: ReplicateBackend, server: ScriptedServer) -> None:
    server.script("POST", "/v1/deployments", hang_up)

    with pytest.raises(SubmitUnclear):
        await client_backend.client.deployments.create("fast", model="a/b", version=PIN, hardware="cpu")

    assert len(server.find_requests("POST")) == 1


async def test_a_model_with_a_deployment_runs_on_the_deployment(replicate: ReplicateBackend, sandbox: Sandbox) -> None:
    await make(replicate)

    backend_id = await replicate.submit(DEPLOYED, SMALL, job="j1", run="r1", cancel_after_seconds=60)

    async with aclosing(replicate.watch(DEPLOYED, backend_id)) as events:
        ended = [event async for event in events][-1]
    assert isinstance(ended, RunEnded)
    assert ended.snapshot.state is PredictionState.SUCCEEDED
    (prediction,) = sandbox.store.list_newest_first()
    assert prediction.deployment == "sandbox/fast"


async def test_a_create_on_a_deployment_names_no_version(
    client_backend: ReplicateBackend, server: ScriptedServer
) -> None:
    server.script(
        "POST", "/v1/deployments/sandbox/fast/predictions", ScriptedResponse(make_prediction("starting"), status=201)
    )

    await client_backend.submit(DEPLOYED, {"prompt": "a fox"}, job="j1", run="r1", cancel_after_seconds=60)

    (asked,) = server.find_requests("POST")
    assert asked.json == {"input": {"prompt": "a fox"}}
    assert asked.headers["Cancel-After"] == "60s"


async def test_a_run_of_a_deployment_is_found_and_no_other_run(replicate: ReplicateBackend) -> None:
    await make(replicate)
    began = datetime.now(UTC) - timedelta(seconds=5)
    deployed = await replicate.submit(DEPLOYED, SMALL, job="j1", run="r1", cancel_after_seconds=60)
    pinned = await replicate.submit(PINNED_PAINTER, SMALL, job="j2", run="r2", cancel_after_seconds=60)

    by_deployment = await replicate.find(DEPLOYED, SMALL, run="r1", created_after=began)
    by_version = await replicate.find(PINNED_PAINTER, SMALL, run="r1", created_after=began)

    assert deployed in [snapshot.backend_id for snapshot in by_deployment]
    assert [snapshot.backend_id for snapshot in by_version] == [pinned]


@pytest.mark.parametrize(
    ("told", "ours", "is_same"),
    [
        ("ana/fast", "ana/fast", True),
        ("fast", "ana/fast", True),
        ("Ana/Fast", "ana/fast", True),
        ("ana/slow", "ana/fast", False),
        ("ana/fast", "", False),
        (None, "ana/fast", True),
        (None, "", True),
    ],
)
def test_runs_match_a_deployment_by_name(told: str | None, ours: str, is_same: bool) -> None:
    prediction = parse_prediction(make_prediction(deployment=told))

    assert client.is_same_run(prediction, replace(PAINTER, deployment=ours), {"prompt": "a fox"}) is is_same


async def test_a_missing_deployment_is_refused(replicate: ReplicateBackend) -> None:
    with pytest.raises(InputRefused, match="has no model called stability-ai/sdxl"):
        await replicate.submit(DEPLOYED, SMALL, job="j1", run="r1", cancel_after_seconds=60)
