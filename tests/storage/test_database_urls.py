"""Addresses of PostgreSQL as hosting services write them."""

import pytest

from bot.core.errors import EaselError
from bot.storage.database import Database
from tests.postgres import PostgresServer


@pytest.mark.parametrize("query", ["sslmode=disable", "sslmode=prefer&channel_binding=prefer&application_name=x", ""])
async def test_the_words_of_libpq_are_understood(postgres_server: PostgresServer, query: str) -> None:
    url = await postgres_server.create_database()
    database = Database(f"{url}?{query}")

    await database.open()

    await database.close()
    await postgres_server.drop_database(url)


async def test_a_server_without_encryption_is_refused_in_a_sentence(postgres_server: PostgresServer) -> None:
    with pytest.raises(EaselError):
        await Database(f"{postgres_server.url('postgres')}?sslmode=require").open()
