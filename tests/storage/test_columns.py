"""Actors and authors: each is stored as one text and read back as the same."""

from hypothesis import given
from hypothesis import strategies as st

from bot.core.people import BOT, Actor, User, format_author, parse_author
from bot.storage.database import Database
from bot.storage.tables.columns import format_actor, parse_actor
from tests.storage.raw import execute
from tests.storage.rows import NOON

texts = st.text(st.sampled_from(":%25Aa ~é\0")) | st.text()
actors = st.builds(Actor, texts, texts, texts) | st.builds(lambda part: Actor(part=part), texts)


@given(actors)
def test_an_actor_with_any_characters_is_parsed_back(actor: Actor) -> None:
    assert parse_actor(format_actor(actor)) == actor


@given(st.sampled_from(["discord", "slack", "web", "console"]), texts)
def test_the_user_behind_an_author_is_parsed_back(platform: str, user: str) -> None:
    assert parse_author(format_author(platform, user)) == user


async def test_actors_of_workspaces_with_colons_are_kept_apart(database: Database) -> None:
    ana, eve = User("slack", "T:1", "U:9", "Ana"), User("slack", "T", "1:U:9", "Eve")
    async with database.write() as tx:
        for actor in (ana.actor, eve.actor):
            await tx.audit.add(actor, "words.added", {}, NOON)
        await tx.audit.add(BOT, "workspace.left", {}, NOON, ("slack", "T"))

    async with database.read() as tx:
        assert [row.actor for row in await tx.audit.list_rows("slack", "T:1", 9)] == [ana.actor]
        assert [row.actor for row in await tx.audit.list_rows("slack", "T", 9)] == [BOT, eve.actor]
        assert len(await tx.audit.list_rows("slack", "T", 9, actor=eve.actor)) == 1
    assert await execute(database, "SELECT actor FROM audit ORDER BY id") == [
        ("slack:T%3A1:U:9",),
        ("slack:T:1:U:9",),
        ("bot",),
    ]
