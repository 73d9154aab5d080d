"""The trunk's assumptions about platforms, checked on every platform and on the fake platform."""

import io
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bot.core.clock import SystemClock
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLost, Platform
from bot.core.replies import MessageRef, Reply, Tone
from bot.platforms.console.platform import ConsolePlatform
from bot.platforms.web.feed import DeletedMessage
from bot.platforms.web.platform import WebPlatform
from bot.storage.database import Database
from tests.fakes.clock import ManualClock
from tests.fakes.platform import FakePlatform
from tests.platforms.discord.town import open_town
from tests.platforms.slack.office import create_office

ANA = User("web", "page", "ana", "Ana")
HOME = Channel("web", "page", "ana.main", thread="t1")


@dataclass(frozen=True)
class PlatformCase:
    """A platform, a channel and a user to post for, and a function that returns the visible text."""

    platform: Platform
    read_text: Callable[[], str]
    home: Channel = HOME
    user: User = ANA

    def destination(self, nonce: str) -> Destination:
        return Destination(self.user, self.home, f"{self.platform.name}:request", nonce)


@asynccontextmanager
async def open_console(_: Path) -> AsyncIterator[PlatformCase]:
    out = io.StringIO()
    yield PlatformCase(ConsolePlatform(out, find_path=lambda _: None), out.getvalue)


@asynccontextmanager
async def open_fake(_: Path) -> AsyncIterator[PlatformCase]:
    fake = FakePlatform("web", ManualClock())
    yield PlatformCase(fake, lambda: "\n".join(read_text.text for read_text in fake.messages.values()))


@asynccontextmanager
async def open_page_platform(folder: Path) -> AsyncIterator[PlatformCase]:
    database = Database(f"sqlite:///{folder / 'page.db'}")
    await database.open()
    web = WebPlatform(database, SystemClock())
    start = web.feed.position

    def read_text() -> str:
        messages = web.feed.get_changes_since(HOME.id, start) or []
        return "\n".join(message.reply.text for message in messages if not isinstance(message, DeletedMessage))

    yield PlatformCase(web, read_text)
    await database.close()


@asynccontextmanager
async def open_discord(folder: Path) -> AsyncIterator[PlatformCase]:
    async with open_town(folder) as town:
        thread = await town.ana.open_thread("here", on=await town.ana.say("hello", town.general))
        workspace = str(town.guild.id)
        home = Channel("discord", workspace, str(town.general.id), thread=str(thread.id))
        ana = User("discord", workspace, str(town.ana.id), "Ana")
        yield PlatformCase(
            town.app.platforms["discord"], lambda: "\n".join(message.text for message in thread.messages), home, ana
        )


@asynccontextmanager
async def open_slack(folder: Path) -> AsyncIterator[PlatformCase]:
    office = await (await create_office(folder)).open()
    root = await office.ana.say("hello", office.general)
    home = Channel("slack", office.team.id, office.general.id, thread=root.ts)
    ana = User("slack", office.team.id, office.ana.id, "Ana")
    thread = office.general.get_thread(root)
    yield PlatformCase(
        office.app.platforms["slack"],
        lambda: "\n".join(message.visible_text for message in thread.bot_messages),
        home,
        ana,
    )
    await office.close()
    await office.slack.stop()
    assert office.slack.violations == []


PLATFORM_CASES: dict[str, Callable[[Path], AbstractAsyncContextManager[PlatformCase]]] = {
    "web": open_page_platform,
    "console": open_console,
    "remembering": open_fake,
    "discord": open_discord,
    "slack": open_slack,
}


@pytest.fixture(params=PLATFORM_CASES)
async def platform_case(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[PlatformCase]:
    async with PLATFORM_CASES[request.param](tmp_path) as opened:
        yield opened


def build_working_reply(text: str) -> Reply:
    return Reply(text=text, tone=Tone.WORKING)


async def test_a_post_returns_an_address_for_any_process(platform_case: PlatformCase) -> None:
    platform, read_text = platform_case.platform, platform_case.read_text

    ref = await platform.post(platform_case.destination("one"), build_working_reply("hello"))

    home = platform_case.home
    assert (ref.platform, ref.workspace, ref.channel, ref.thread) == (
        *(platform.name, home.workspace, home.id, home.thread),
    )
    assert ref.id
    assert "hello" in read_text()


async def test_direct_messages_are_told_from_channels(platform_case: PlatformCase) -> None:
    platform, home = platform_case.platform, platform_case.home
    direct = await platform.find_direct_channel(home.workspace, platform_case.user.id)

    assert not platform.is_direct_channel(home)
    if platform.name in ("discord", "slack"):
        assert direct is not None
        assert platform.is_direct_channel(direct)


async def test_equal_nonces_make_a_single_message(platform_case: PlatformCase) -> None:
    platform, read_text = platform_case.platform, platform_case.read_text

    first = await platform.post(platform_case.destination("one"), build_working_reply("hello"))
    again = await platform.post(platform_case.destination("one"), build_working_reply("hello"))
    other = await platform.post(platform_case.destination("two"), build_working_reply("other"))

    assert first == again != other
    assert read_text().count("hello") == 1


async def test_an_edit_shows_the_latest_text(platform_case: PlatformCase) -> None:
    platform, read_text = platform_case.platform, platform_case.read_text
    ref = await platform.post(platform_case.destination("one"), build_working_reply("The"))

    await platform.edit(ref, build_working_reply("The sea"))
    await platform.edit(ref, build_working_reply("The sea is wide"))

    assert read_text().strip() == "The sea is wide"


async def test_a_repeated_edit_changes_nothing(platform_case: PlatformCase) -> None:
    platform, read_text = platform_case.platform, platform_case.read_text
    ref = await platform.post(platform_case.destination("one"), build_working_reply("The"))

    await platform.edit(ref, build_working_reply("The sea"))
    await platform.edit(ref, build_working_reply("The sea"))

    assert read_text().count("sea") == 1


async def test_editing_an_unknown_message_raises_message_lost(platform_case: PlatformCase) -> None:
    platform = platform_case.platform
    ref: MessageRef = await platform.post(platform_case.destination("one"), build_working_reply("hello"))

    with pytest.raises(MessageLost):
        await platform.edit(replace(ref, id="1"), build_working_reply("x"))


async def test_a_deleted_message_is_lost_for_edits_and_stays_deleted(platform_case: PlatformCase) -> None:
    platform, read_text = platform_case.platform, platform_case.read_text
    ref = await platform.post(platform_case.destination("one"), build_working_reply("hello"))
    other = await platform.post(platform_case.destination("two"), build_working_reply("other"))

    await platform.delete(ref)
    await platform.delete(ref)

    with pytest.raises(MessageLost):
        await platform.edit(ref, build_working_reply("hello again"))
    await platform.edit(other, build_working_reply("other words"))
    assert "again" not in read_text()
    assert "other words" in read_text()


async def test_a_final_edit_never_waits(platform_case: PlatformCase) -> None:
    platform = platform_case.platform
    ref = await platform.post(platform_case.destination("one"), build_working_reply("hello"))
    pacer = platform.pacer(ref)

    await pacer.wait_for_edit(is_final=False)
    await pacer.wait_for_edit(is_final=True)
    pacer.close()

    assert platform.limits.max_length >= 1_000
