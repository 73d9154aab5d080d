"""SIGKILL in a chain of a chat and its tools: the chain goes on, and no link is lost, doubled or paid twice."""

import asyncio
import random
import sqlite3
from pathlib import Path

import aiohttp
import pytest

from tests.catalogue.samples import write_catalogue_of_small_pictures
from tests.chaos.processes import BotProcess, PageUser, sandbox

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

QUESTIONS = 4
KILLS = 4
END_TIMEOUT_SECONDS = 60.0


async def test_chains_survive_sigkill_at_random_moments(tmp_path: Path) -> None:
    random_moments = random.Random(20261201)
    settings = {"CATALOGUE_PATH": str(write_catalogue_of_small_pictures(tmp_path))}
    async with sandbox(speed=0.5) as url, aiohttp.ClientSession() as http:
        bot = BotProcess(tmp_path, url, settings=settings)
        await bot.start()
        user = PageUser(http, bot)
        await user.send_request("/settings chat --tools on", "settings-00", "c")
        for n in range(QUESTIONS):
            await user.send_request(f"/chat draw fox number {n}", f"question-{n:04}", f"c{n}")
        for _ in range(KILLS):
            await asyncio.sleep(random_moments.uniform(0.1, 1.0))
            await bot.kill()
            await bot.start()

        async with asyncio.timeout(END_TIMEOUT_SECONDS):
            while len(read_rows(tmp_path, "SELECT id FROM jobs WHERE notified_at IS NOT NULL")) < 3 * QUESTIONS:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        assert await bot.terminate() == 0

    assert read_rows(tmp_path, "SELECT command, state, count(*) FROM jobs GROUP BY command, state") == [
        ("chat", "delivered", 2 * QUESTIONS),
        ("imagine", "delivered", QUESTIONS),
    ]
    assert read_rows(tmp_path, "SELECT sum(held_micros) FROM accounts") == [(0,)]
    runs = "SELECT count(*), count(DISTINCT backend_id) FROM predictions"
    assert read_rows(tmp_path, runs) == [(3 * QUESTIONS, 3 * QUESTIONS)]


def read_rows(folder: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{folder / 'easel.db'}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()
