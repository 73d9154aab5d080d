"""Rate limits: announced in every response, enforced on request, in each observed form of Replicate's responses."""

from datetime import UTC, datetime
from typing import Any

import pytest

from bot.sandbox.clock import SandboxClock
from bot.sandbox.middlewares import CREATE_LIMIT, OTHER_LIMIT, SandboxRateLimit, SandboxRateLimits
from bot.sandbox.server import Sandbox, SandboxOptions
from tests.sandbox.conftest import SandboxClient, SandboxResponse
from tests.sandbox.test_predictions import LLAMA

HANG: dict[str, Any] = {"version": LLAMA, "input": {"prompt": "fault:hang"}}


class StillClock(SandboxClock):
    """A clock that only tests move."""

    _START = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self._START + self._ahead


async def create(client: SandboxClient) -> SandboxResponse:
    return await client.request("POST", "/v1/predictions", json=HANG)


async def limit(client: SandboxClient, **body: Any) -> None:
    assert (await client.request("POST", "/sandbox/limits", json=body)).status == 204


def test_the_documented_limits_are_the_usual_ones() -> None:
    assert (CREATE_LIMIT.per_minute, OTHER_LIMIT.per_minute) == (600, 3000)
    assert SandboxOptions().rate_limit is False


@pytest.mark.parametrize(("is_create", "at_once", "a_second"), [(True, 600, 10), (False, 3000, 50)])
def test_a_burst_passes_and_then_an_even_rate(is_create: bool, at_once: int, a_second: int) -> None:
    clock = StillClock()
    rates = SandboxRateLimits(clock)
    rates.is_enforced = True

    def passing() -> int:
        count = 0
        while not rates.count_call(is_create=is_create).wait_seconds:
            count += 1
        return count

    assert passing() == at_once
    clock.advance(1)
    assert passing() == a_second


async def test_too_many_creates_are_refused_and_nothing_is_created(client: SandboxClient) -> None:
    await limit(client, enforced=True, creates={"per_minute": 6, "burst": 2})

    replies = [await create(client) for _ in range(3)]
    reading = await client.request("GET", "/v1/account")

    assert [reply.status for reply in replies] == [201, 201, 429]
    assert replies[-1].body == {"detail": "Request was throttled. Expected available in 10 seconds."}
    assert (replies[-1].headers["ratelimit-remaining"], replies[-1].headers["ratelimit-reset"]) == ("0", "10")
    assert "retry-after" not in replies[-1].headers
    assert client.sandbox.store.created_count == 2
    assert reading.status == 200


async def test_a_client_that_waits_for_the_reset_passes(client: SandboxClient) -> None:
    await limit(client, enforced=True, creates={"per_minute": 6, "burst": 1})
    await create(client)
    refused = await create(client)

    client.sandbox.clock.advance(int(refused.headers["ratelimit-reset"]))

    assert (await create(client)).status == 201


async def test_reading_has_a_limit_of_its_own_but_streams_and_files_have_none(client: SandboxClient) -> None:
    finished = await client.run(LLAMA, {"prompt": "hello"})
    await limit(client, enforced=True, others={"per_minute": 60, "burst": 1})

    reads = [await client.request("GET", finished["urls"]["get"]) for _ in range(2)]
    stream = await client.stream(finished["urls"]["stream"])

    assert [reply.status for reply in reads] == [200, 429]
    assert reads[-1].body == {"detail": "Request was throttled. Expected available in 1 second."}
    assert b"event: done" in stream


async def test_an_account_with_low_credit_creates_six_a_minute(client: SandboxClient) -> None:
    await limit(client, low_credit=True)

    replies = [await create(client) for _ in range(2)]
    await limit(client, low_credit=False)
    later = await create(client)

    assert [reply.status for reply in (*replies, later)] == [201, 429, 201]
    assert "is reduced to 6 requests per minute with a burst of 1 requests" in replies[1].body["detail"]
    assert f"resets in ~{replies[1].body['retry_after']}s" in replies[1].body["detail"]
    assert 9 <= replies[1].body["retry_after"] <= 10


async def test_without_a_token_nothing_is_counted(client: SandboxClient) -> None:
    await limit(client, enforced=True, others={"per_minute": 60, "burst": 1})

    anonymous = await client.request("GET", "/v1/account", headers={"Authorization": ""})

    assert (anonymous.status, "ratelimit-remaining" in anonymous.headers) == (401, False)
    assert (await client.request("GET", "/v1/account")).status == 200


@pytest.mark.parametrize("wrong", [{"burst": 1}, {"per_minute": 0, "burst": 1}, {"per_minute": "x", "burst": 1}, 7])
async def test_an_invalid_limit_is_refused(client: SandboxClient, wrong: Any) -> None:
    reply = await client.request("POST", "/sandbox/limits", json={"creates": wrong})

    assert reply.status == 422


async def test_the_limits_can_be_set_from_the_start() -> None:
    sandbox = Sandbox(SandboxOptions(rate_limit=True, create_limit=SandboxRateLimit(60, burst=1), low_credit=False))

    first, second = (sandbox.rate_limits.count_call(is_create=True).wait_seconds for _ in range(2))

    assert (first, second) == (0, 1)
    await sandbox.stop()
