"""Tests installations: stored, replaced, removed, installed again."""

from dataclasses import replace

from bot.storage.database import Database
from bot.storage.people import Installation
from tests.storage.rows import NOON, after

ACME = Installation("slack", "T1", b"\x00sealed", {"bot_user": "U1", "scopes": ["commands"]}, "UADMIN", NOON)


async def test_an_installation_is_stored_and_replaced(database: Database) -> None:
    again = replace(ACME, secrets=b"other", installed_at=after(5))

    async with database.write() as tx:
        await tx.installations.put(ACME)
        assert await tx.installations.get("slack", "T1") == ACME
        await tx.installations.put(again)

    async with database.read() as tx:
        assert await tx.installations.get("slack", "T1") == again
        assert await tx.installations.get("slack", "T2") is None


async def test_a_removed_installation_has_no_secrets_and_can_be_installed_again(database: Database) -> None:
    async with database.write() as tx:
        await tx.installations.put(ACME)

        assert await tx.installations.remove("slack", "T1", after(1))
        assert not await tx.installations.remove("slack", "T1", after(2))

        assert await tx.installations.get("slack", "T1") is None
        await tx.installations.put(ACME)
        assert await tx.installations.get("slack", "T1") == ACME
