"""What the trunk may rely on, whoever shows its messages: every platform, and the fake that stands in for them."""

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
from bot.platforms.web.platform import WebPlatform
from bot.platforms.web.stream import Gone
from bot.storage.database import Database
from tests.fakes.clock import ManualClock
from tests.fakes.platform import RememberingPlatform
from tests.platforms.discord.town import open_town
from tests.platforms.slack.office import furnished

ANA = User("web", "page", "ana", "Ana")
HOME = Channel("web", "page", "ana.main", thread="t1")


@dataclass(frozen=True)
class Stage:
    """A platform, a look at all that a person sees there now, as text, and where and for whom to post."""

    platform: Platform
    shown: Callable[[], str]
    home: Channel = HOME
    user: User = ANA

    def destination(self, nonce: str) -> Destination:
        return Destination(self.user, self.home, f"{self.platform.name}:request", nonce)


@asynccontextmanager
async def on_the_console(_: Path) -> AsyncIterator[Stage]:
    out = io.StringIO()
    yield Stage(ConsolePlatform(out, path_of=lambda _: None), out.getvalue)


@asynccontextmanager
async def on_the_fake(_: Path) -> AsyncIterator[Stage]:
    fake = RememberingPlatform("web", ManualClock())
    yield Stage(fake, lambda: "\n".join(shown.text for shown in fake.messages.values()))


@asynccontextmanager
async def on_the_page(folder: Path) -> AsyncIterator[Stage]:
    database = Database(f"sqlite:///{folder / 'page.db'}")
    await database.open()
    web = WebPlatform(database, SystemClock())

    def shown() -> str:
        messages = web.feed.since(HOME.id, web.feed.start) or []
        return "\n".join(message.reply.text for message in messages if not isinstance(message, Gone))

    yield Stage(web, shown)
    await database.close()


@asynccontextmanager
async def on_discord(folder: Path) -> AsyncIterator[Stage]:
    async with open_town(folder) as town:
        thread = await town.ana.open_thread("here", on=await town.ana.say("hello", town.general))
        workspace = str(town.guild.id)
        home = Channel("discord", workspace, str(town.general.id), thread=str(thread.id))
        ana = User("discord", workspace, str(town.ana.id), "Ana")
        yield Stage(
            town.app.platforms["discord"], lambda: "\n".join(message.text for message in thread.messages), home, ana
        )


@asynccontextmanager
async def on_slack(folder: Path) -> AsyncIterator[Stage]:
    office = await (await furnished(folder)).open()
    root = await office.ana.say("hello", office.general)
    home = Channel("slack", office.team.id, office.general.id, thread=root.ts)
    ana = User("slack", office.team.id, office.ana.id, "Ana")
    thread = office.general.thread(root)
    yield Stage(office.app.platforms["slack"], lambda: "\n".join(message.shown for message in thread.of_bot), home, ana)
    await office.close()
    await office.slack.stop()
    assert office.slack.violations == []


STAGES: dict[str, Callable[[Path], AbstractAsyncContextManager[Stage]]] = {
    "web": on_the_page,
    "console": on_the_console,
    "remembering": on_the_fake,
    "discord": on_discord,
    "slack": on_slack,
}


@pytest.fixture(params=STAGES)
async def stage(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stage]:
    async with STAGES[request.param](tmp_path) as opened:
        yield opened


def working(text: str) -> Reply:
    return Reply(text=text, tone=Tone.WORKING)


async def test_a_post_gives_an_address_that_any_process_can_use(stage: Stage) -> None:
    platform, shown = stage.platform, stage.shown

    ref = await platform.post(stage.destination("one"), working("hello"))

    home = stage.home
    assert (ref.platform, ref.workspace, ref.channel, ref.thread) == (
        *(platform.name, home.workspace, home.id, home.thread),
    )
    assert ref.id
    assert "hello" in shown()


async def test_equal_nonces_make_one_message(stage: Stage) -> None:
    platform, shown = stage.platform, stage.shown

    first = await platform.post(stage.destination("one"), working("hello"))
    again = await platform.post(stage.destination("one"), working("hello"))
    other = await platform.post(stage.destination("two"), working("other"))

    assert first == again != other
    assert shown().count("hello") == 1


async def test_an_edit_shows_the_latest(stage: Stage) -> None:
    platform, shown = stage.platform, stage.shown
    ref = await platform.post(stage.destination("one"), working("The"))

    await platform.edit(ref, working("The sea"))
    await platform.edit(ref, working("The sea is wide"))

    assert shown().strip() == "The sea is wide"


async def test_an_edit_made_twice_is_one_edit(stage: Stage) -> None:
    platform, shown = stage.platform, stage.shown
    ref = await platform.post(stage.destination("one"), working("The"))

    await platform.edit(ref, working("The sea"))
    await platform.edit(ref, working("The sea"))

    assert shown().count("sea") == 1


async def test_a_message_that_never_was_is_lost(stage: Stage) -> None:
    platform = stage.platform
    ref: MessageRef = await platform.post(stage.destination("one"), working("hello"))

    with pytest.raises(MessageLost):
        await platform.edit(replace(ref, id="1"), working("x"))


async def test_a_deleted_message_is_lost_for_edits_and_stays_away(stage: Stage) -> None:
    platform, shown = stage.platform, stage.shown
    ref = await platform.post(stage.destination("one"), working("hello"))
    other = await platform.post(stage.destination("two"), working("other"))

    await platform.delete(ref)
    await platform.delete(ref)

    with pytest.raises(MessageLost):
        await platform.edit(ref, working("hello again"))
    await platform.edit(other, working("other words"))
    assert "again" not in shown()
    assert "other words" in shown()


async def test_a_final_turn_never_waits_for_the_pace(stage: Stage) -> None:
    platform = stage.platform
    ref = await platform.post(stage.destination("one"), working("hello"))
    pacer = platform.pacer(ref)

    await pacer.turn(is_final=False)
    await pacer.turn(is_final=True)
    pacer.leave()

    assert platform.limits.text >= 1_000
    assert platform.limits.pictures >= 1
