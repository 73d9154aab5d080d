"""A model approved in one process: offered there at once, in other processes of the database within a second."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bot.catalogue.added_models import REFRESH_SECONDS
from bot.commands.run import Run
from bot.core.people import User
from bot.core.replies import Reply
from bot.dispatch.button_actions import ButtonPress
from tests.bench import Bench
from tests.conftest import BOTH_ENGINES, WITH_SCHEMA
from tests.fakes.samples import ANA, CHANNEL, MODERATOR, OWNER, get_text
from tests.postgres import PostgresServer


async def press(bench: Bench, reply: Reply | None, action: str, by: User) -> str:
    assert reply is not None
    button = next(button for button in reply.buttons if button.action == action)
    press = ButtonPress(by, CHANNEL, action, button.job, button.n, f"web:{action}:{button.job}", "")
    return get_text(await bench.app.dispatcher.handle_press(press))


async def approve_painter(bench: Bench) -> None:
    """Let Ana ask for a model, and the owner approve it."""
    question = await bench.say("/run owner/painter prompt=fox")
    assert (await press(bench, question, "confirm", ANA)).startswith("I asked the moderators")
    assert "is approved everywhere" in await press(bench, bench.last_message.reply, "approve", OWNER)


async def is_offered(bench: Bench) -> tuple[bool, bool]:
    """Return whether /models lists the model, and whether the option of /run suggests the model's key."""
    listed = get_text(await bench.say("/models run"))
    option = Run.declaration.option("model")
    assert option is not None
    assert option.autocomplete is not None
    services = await bench.app.dispatcher.services.prepare_suggestions(option, ANA, "painter")
    suggested = [choice.value for choice in option.autocomplete(services, "painter", {})]
    return "`painter`" in listed, "painter" in suggested


@asynccontextmanager
async def open_two(folder: Path, url: str) -> AsyncIterator[tuple[Bench, Bench]]:
    """Open two processes on one database and one clock; on SQLite, which has one process, the same process twice."""
    first = await Bench.open(folder / "first", url)
    second = await Bench.open(folder / "second", url, clock=first.clock) if url else first
    yield first, second
    await first.close()
    if second is not first:
        await second.close()


@pytest.mark.parametrize("engine", BOTH_ENGINES)
async def test_an_approved_model_is_offered_in_each_process(
    engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = ""
    if engine == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres_with_schema")
        await server.delete_rows(WITH_SCHEMA)
        url = server.url(WITH_SCHEMA)
    async with open_two(tmp_path, url) as (first, second):
        before = await is_offered(second)  # remembered from here on, for REFRESH_SECONDS
        await approve_painter(first)
        at_once = await is_offered(first)
        await second.clock.advance(REFRESH_SECONDS)
        soon = await is_offered(second)
        await first.say("/model remove painter", by=OWNER)
        gone_at_once = await is_offered(first)
        await second.clock.advance(REFRESH_SECONDS)

        assert before == (False, False)
        assert at_once == soon == (True, True)
        assert gone_at_once == await is_offered(second) == (False, False)


async def test_the_next_process_on_sqlite_offers_an_approved_model(tmp_path: Path) -> None:
    first = await Bench.open(tmp_path)
    await approve_painter(first)
    await first.close()

    second = await first.open_again(tmp_path)

    assert await is_offered(second) == (True, True)
    assert "is on offer already" in get_text(await second.say("/model add owner/painter", by=MODERATOR))
    await second.close()
