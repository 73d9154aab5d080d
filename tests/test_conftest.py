"""The suite's own fixtures: no network, and a real database on both engines."""

import asyncio
import socket
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import NetworkUsed
from tests.postgres import PostgresServer

FOREIGN_ADDRESS = "192.0.2.1"  # an address for documentation: RFC 5737


def test_a_connection_to_another_machine_is_refused() -> None:
    with socket.socket() as client, pytest.raises(NetworkUsed, match=FOREIGN_ADDRESS):
        client.connect((FOREIGN_ADDRESS, 80))


async def test_an_asyncio_connection_to_another_machine_is_refused() -> None:
    with pytest.raises(NetworkUsed, match=FOREIGN_ADDRESS):
        await asyncio.open_connection(FOREIGN_ADDRESS, 80)


async def test_foreign_names_are_not_resolved() -> None:
    with pytest.raises(NetworkUsed, match=r"easel\.example"):
        await asyncio.get_running_loop().getaddrinfo("easel.example", 443)


async def test_loopback_connections_are_allowed() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        reader, writer = await asyncio.open_connection("localhost", server.sockets[0].getsockname()[1])

        assert await reader.read() == b""

        writer.close()
        await writer.wait_closed()


async def test_each_test_gets_an_empty_database(empty_database_url: str, tmp_path: Path) -> None:
    if empty_database_url.startswith("sqlite:///"):
        assert str(tmp_path) in empty_database_url
        return
    connection = await asyncpg.connect(empty_database_url)

    tables = await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")

    await connection.close()
    assert tables == 0


@pytest.mark.postgres
async def test_a_database_can_be_copied_from_a_template(postgres_server: PostgresServer) -> None:
    template = await postgres_server.create_database("mould")
    connection = await asyncpg.connect(template)
    await connection.execute("CREATE TABLE jobs (id int)")
    await connection.close()

    copy = await postgres_server.create_database(template="mould")

    connection = await asyncpg.connect(copy)
    assert await connection.fetchval("SELECT count(*) FROM jobs") == 0
    await connection.close()
    await postgres_server.drop_database(copy)
    await postgres_server.drop_database(template)
