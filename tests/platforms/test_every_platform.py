"""What the trunk may rely on, whoever shows its messages: every platform, and the fake that stands in for them."""

import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from bot.core.clock import SystemClock
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLost, Platform
from bot.core.replies import MessageRef, Reply, Tone
from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.slack.calls import Calls
from bot.platforms.slack.pacing import Budgets
from bot.platforms.slack.platform import SlackPlatform
from bot.platforms.slack.teams import OneTeam, Team
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.stream import Gone
from bot.storage.engine import SqlDatabase
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.messages import Message
from tests.fakes.clock import ManualClock
from tests.fakes.platform import RememberingPlatform

ANA = User("web", "page", "ana", "Ana")
HOME = Channel("web", "page", "ana.main", thread="t1")

Shown = Callable[[], str]
"""All that a person sees there now, as text."""


@pytest.fixture(params=["web", "console", "remembering", "slack"])
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Platform, Shown]]:
    """A platform, and a look at what it shows."""
    if request.param == "console":
        out = io.StringIO()
        yield ConsolePlatform(out, path_of=lambda _: None), out.getvalue
    elif request.param == "slack":
        async with slack_stage(tmp_path) as slack:
            yield slack
    elif request.param == "remembering":
        fake = RememberingPlatform("web", ManualClock())
        yield fake, lambda: "\n".join(shown.text for shown in fake.messages.values())
    else:
        database = SqlDatabase(f"sqlite:///{tmp_path / 'page.db'}")
        await database.open()
        web = WebPlatform(database, SystemClock())
        yield (
            web,
            lambda: "\n".join(
                message.reply.text
                for message in web.feed.since(HOME.id, web.feed.start) or []
                if not isinstance(message, Gone)
            ),
        )
        await database.close()


@asynccontextmanager
async def slack_stage(folder: Path) -> AsyncIterator[tuple[Platform, Shown]]:
    """Slack's adapter, calling a local Slack that has such a workspace, channel and thread."""
    database = SqlDatabase(f"sqlite:///{folder / 'slack.db'}")
    await database.open()
    async with SlackEmulator() as slack, aiohttp.ClientSession() as session:
        team = slack.add_team()
        channel = team.channel("general")
        team.id, channel.id = HOME.workspace, HOME.id
        team.channels[HOME.id] = channel
        channel.all_messages.append(Message(channel, HOME.thread, "U1"))
        teams, clock = OneTeam(), SystemClock()
        teams.joined(Team(team.id, team.bot_token, team.bot_user, team.bot_id))
        calls = Calls(slack.api_url, session, teams, Budgets(clock), clock)
        platform = SlackPlatform(calls, teams, database, lambda _: None, clock)
        yield platform, lambda: "\n".join(message.shown for message in channel.of_bot)
        assert slack.violations == []
    await database.close()


def destination(nonce: str) -> Destination:
    return Destination(ANA, HOME, "web:request", nonce)


def working(text: str) -> Reply:
    return Reply(text=text, tone=Tone.WORKING)


async def test_a_post_gives_an_address_that_any_process_can_use(stage: tuple[Platform, Shown]) -> None:
    platform, shown = stage

    ref = await platform.post(destination("one"), working("hello"))

    assert (ref.platform, ref.workspace, ref.channel, ref.thread) == (platform.name, "page", "ana.main", "t1")
    assert ref.id
    assert "hello" in shown()


async def test_equal_nonces_make_one_message(stage: tuple[Platform, Shown]) -> None:
    platform, shown = stage

    first = await platform.post(destination("one"), working("hello"))
    again = await platform.post(destination("one"), working("hello"))
    other = await platform.post(destination("two"), working("other"))

    assert first == again != other
    assert shown().count("hello") == 1


async def test_an_edit_shows_the_latest(stage: tuple[Platform, Shown]) -> None:
    platform, shown = stage
    ref = await platform.post(destination("one"), working("The"))

    await platform.edit(ref, working("The sea"))
    await platform.edit(ref, working("The sea is wide"))

    assert shown().strip() == "The sea is wide"


async def test_an_edit_made_twice_is_one_edit(stage: tuple[Platform, Shown]) -> None:
    platform, shown = stage
    ref = await platform.post(destination("one"), working("The"))

    await platform.edit(ref, working("The sea"))
    await platform.edit(ref, working("The sea"))

    assert shown().count("sea") == 1


async def test_a_message_that_never_was_is_lost(stage: tuple[Platform, Shown]) -> None:
    platform, _ = stage
    ref: MessageRef = await platform.post(destination("one"), working("hello"))

    with pytest.raises(MessageLost):
        await platform.edit(replace(ref, id="another"), working("x"))


async def test_a_deleted_message_is_lost_for_edits_and_stays_away(stage: tuple[Platform, Shown]) -> None:
    platform, shown = stage
    ref = await platform.post(destination("one"), working("hello"))
    other = await platform.post(destination("two"), working("other"))

    await platform.delete(ref)
    await platform.delete(ref)

    with pytest.raises(MessageLost):
        await platform.edit(ref, working("hello again"))
    await platform.edit(other, working("other words"))
    assert "again" not in shown()
    assert "other words" in shown()


async def test_a_final_turn_never_waits_for_the_pace(stage: tuple[Platform, Shown]) -> None:
    platform, _ = stage
    ref = await platform.post(destination("one"), working("hello"))
    pacer = platform.pacer(ref)

    await pacer.turn(is_final=False)
    await pacer.turn(is_final=True)
    pacer.leave()

    assert platform.limits.text >= 1_000
    assert platform.limits.pictures >= 1
