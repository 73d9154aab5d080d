"""Rate limit tiers and injected failures."""

from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError

from tests.emulators.slack.client import SlackTestWorkspace


async def status(call: Any) -> tuple[int, str, str]:
    with pytest.raises(SlackApiError) as error:
        await call
    response = error.value.response
    return response.status_code, str(response["error"]), response.headers.get("retry-after", "")


@pytest.mark.parametrize(("method", "limit"), [("conversations.list", 20), ("conversations.history", 50)])
async def test_a_method_takes_the_calls_of_its_tier_per_minute(
    workspace: SlackTestWorkspace, method: str, limit: int
) -> None:
    args = {"channel": workspace.general.id} if method == "conversations.history" else {}
    for _ in range(limit):
        await workspace.client.api_call(method, params=args)

    code, error, wait = await status(workspace.client.api_call(method, params=args))

    assert (code, error) == (429, "ratelimited")
    assert 50 < int(wait) <= 60
    assert len(workspace.slack.rate_limited_calls) == 1
    workspace.slack.clock.advance(60)
    await workspace.client.api_call(method, params=args)


async def test_each_workspace_has_its_own_tiers(workspace: SlackTestWorkspace) -> None:
    other = workspace.slack.add_team("Other")
    for _ in range(20):
        await workspace.client.conversations_list()

    assert (await workspace.client.conversations_list(token=other.bot_token))["ok"]


async def test_a_channel_takes_a_post_a_second_after_a_short_burst(workspace: SlackTestWorkspace) -> None:
    for _ in range(5):
        await workspace.client.chat_postMessage(channel=workspace.general.id, text="a")

    code, _, wait = await status(workspace.client.chat_postMessage(channel=workspace.general.id, text="a"))

    assert (code, wait) == (429, "1")
    assert (await workspace.client.chat_postMessage(channel=workspace.ana.direct_channel.id, text="a"))["ok"]
    workspace.slack.clock.advance(1)
    await workspace.client.chat_postMessage(channel=workspace.general.id, text="a")


async def test_scripted_failures_are_used_up_in_order(workspace: SlackTestWorkspace) -> None:
    faults = workspace.slack.faults
    faults.respond("auth.test", "internal_error")
    faults.rate_limit("auth.test", retry_after=7)
    faults.fail("auth.test", status=500)

    assert (await status(workspace.client.auth_test()))[1] == "internal_error"
    assert await status(workspace.client.auth_test()) == (429, "ratelimited", "7")
    with pytest.raises(SlackApiError):
        await workspace.client.auth_test()
    assert (await workspace.client.auth_test())["ok"]


@pytest.mark.parametrize("after_the_work", [True, False])
async def test_a_connection_is_dropped_before_or_after_the_effect(
    workspace: SlackTestWorkspace, after_the_work: bool
) -> None:
    workspace.slack.faults.drop_connection("chat.postMessage", takes_effect=after_the_work)

    with pytest.raises(aiohttp.ClientConnectionError):
        await workspace.client.chat_postMessage(channel=workspace.general.id, text="a")

    assert len(workspace.general.bot_messages) == after_the_work
