"""Tests the keys of the web page: invitations, cookies, expiry, removal."""

import asyncio
from dataclasses import replace

import pytest

from bot.core.errors import InternalError
from bot.core.people import Rank
from bot.storage.database import Database
from bot.storage.web_page import Visitor
from tests.storage.rows import NOON, after

MIA = Visitor("v1", "Mia Ström", Rank.USER, NOON)


async def invite(database: Database, visitor: Visitor = MIA, key: str = "invitation") -> None:
    async with database.write() as tx:
        await tx.visitors.put(visitor)
        await tx.visitors.add_invitation(visitor.id, key, after(60))


async def use(database: Database, key: str = "invitation", cookie: str = "cookie", seconds: float = 1) -> str | None:
    async with database.write() as tx:
        visitor = await tx.visitors.use_invitation(key, cookie, after(seconds))
    return visitor.id if visitor else None


async def find_owner(database: Database, cookie: str) -> Visitor | None:
    async with database.read() as tx:
        return await tx.visitors.find_by_cookie(cookie)


async def test_an_invitation_becomes_a_cookie_once(database: Database) -> None:
    await invite(database)

    before = await find_owner(database, "invitation")
    first = await use(database)
    again = await use(database, cookie="another")

    assert (before, first, again) == (None, "v1", None)
    assert await find_owner(database, "cookie") == replace(MIA, joined_at=after(1))
    assert await find_owner(database, "another") is None


async def test_an_invitation_used_by_several_at_once_admits_one(database: Database) -> None:
    await invite(database)

    used = await asyncio.gather(*(use(database, cookie=f"cookie{n}") for n in range(5)))

    assert sorted(used, key=str) == [None, None, None, None, "v1"]


async def test_an_invitation_expires_and_a_cookie_does_not(database: Database) -> None:
    await invite(database)
    await invite(database, key="second")

    assert await use(database, seconds=1) == "v1"
    assert await use(database, "second", "cookie2", seconds=60) is None
    assert await find_owner(database, "cookie") is not None


async def test_a_cookie_cannot_be_used_as_invitation(database: Database) -> None:
    await invite(database)
    await use(database)

    assert await use(database, "cookie", "mine") is None


async def test_a_removed_visitor_has_no_keys(database: Database) -> None:
    await invite(database)
    await use(database)
    await invite(database, key="unused")

    async with database.write() as tx:
        await tx.visitors.remove("v1")

    async with database.read() as tx:
        assert await tx.visitors.list_visitors() == []
    assert await find_owner(database, "cookie") is None
    assert await use(database, "unused") is None


async def test_visitors_are_found_by_name_in_any_case(database: Database) -> None:
    await invite(database)
    await invite(database, Visitor("v2", "Ola", Rank.MODERATOR, after(1)), "k2")
    await invite(database, replace(MIA, rank=Rank.OWNER), "k3")

    async with database.read() as tx:
        everyone = await tx.visitors.list_visitors()
        mia = await tx.visitors.find_by_name("MIA STRÖM")

    assert [(one.name, one.rank) for one in everyone] == [
        ("Mia Ström", Rank.OWNER),
        ("Ola", Rank.MODERATOR),
    ]
    assert mia == everyone[0]


async def test_a_name_belongs_to_one_visitor(database: Database) -> None:
    await invite(database)

    with pytest.raises(InternalError):
        await invite(database, Visitor("v2", "mia ström", Rank.USER, NOON), "k2")


async def test_an_invitation_is_noted_for_good(database: Database) -> None:
    async with database.write() as tx:
        before = await tx.visitors.was_invited()
        await tx.visitors.note_invited(NOON)
    async with database.read() as tx:
        after_note = await tx.visitors.was_invited()

    assert (before, after_note) == (False, True)


async def test_a_visitor_of_an_earlier_release_counts_as_invited(database: Database) -> None:
    async with database.write() as tx:
        await tx.visitors.put(Visitor("v1", "Mia", Rank.USER, NOON))
        assert await tx.visitors.was_invited()


async def test_the_cookie_secret_is_kept_beside_the_policies_of_the_page(database: Database) -> None:
    async with database.write() as tx:
        none = await tx.visitors.find_cookie_secret()
        await tx.visitors.put_cookie_secret("random", NOON)
    async with database.read() as tx:
        kept = await tx.visitors.find_cookie_secret()
        listed = await tx.policies.list_policies("web", "page")

    assert (none, kept, listed) == (None, "random", [])
