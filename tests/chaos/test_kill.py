"""Nothing is lost, doubled or overpaid, however the bot dies."""

import asyncio
import random
import sqlite3
from pathlib import Path

import aiohttp
import pytest

from tests.chaos.processes import TOKEN, BotProcess, PageUser, sandbox
from tests.fakes.backend import make_png

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

ROUNDS = 4
JOBS = 30
PATIENCE_SECONDS = 60.0


def asks() -> list[tuple[str, bytes | None]]:
    """Thirty asks of all four commands; some are equal, as people's are."""
    kinds: list[tuple[str, bytes | None]] = [
        ("/imagine a fox in the snow --seed 7", None),
        ("/imagine a lighthouse at dusk --count 2", None),
        ("/chat what can you do?", None),
        ("/upscale --scale 2", make_png(40, 30)),
        ("/caption", make_png(50, 30, "orange")),
    ]
    return [kinds[n % len(kinds)] for n in range(JOBS)]


async def test_thirty_jobs_survive_sigkill_at_random_moments(tmp_path: Path) -> None:
    moments = random.Random(20261120)
    async with sandbox(speed=0.6) as url, aiohttp.ClientSession() as http:
        bot = BotProcess(tmp_path, url)
        await bot.start()
        person = PageUser(http, bot)
        asking = [
            asyncio.create_task(person.ask(text, f"request-{n:04}", f"c{n}", picture))
            for n, (text, picture) in enumerate(asks())
        ]
        open_at_kills = []
        for _ in range(ROUNDS):
            await asyncio.sleep(moments.uniform(0.1, 1.0))
            await bot.kill()
            open_at_kills.append(_rows(tmp_path, "SELECT count(*) FROM jobs WHERE notified_at IS NULL")[0][0])
            await bot.start()
        print("open at each kill:", open_at_kills)  # noqa: T201 - shown by pytest -s
        await asyncio.gather(*asking)
        await _all_told(tmp_path)
        shown = [await person.list_bot_messages(f"c{n}") for n in range(JOBS)]
        assert await bot.terminate() == 0

        assert all(open_at_kills), "each kill must meet work in flight"
        assert [[message["tone"] for message in messages] for messages in shown] == [["done"]] * JOBS
        await _paid_once(http, url, tmp_path)
        _books_are_closed(tmp_path)


async def test_sigterm_drains_within_the_grace(tmp_path: Path) -> None:
    async with sandbox(speed=0.5) as url, aiohttp.ClientSession() as http:
        bot = BotProcess(tmp_path, url, grace_seconds=20)
        await bot.start()
        await PageUser(http, bot).ask("/imagine a fox", "request-drain", "c")

        code = await bot.terminate()

        assert code == 0
        assert _rows(tmp_path, "SELECT state FROM jobs") == [("delivered",)]
        assert any(b"app.drained all_ended=true" in line for line in bot.log)


async def test_what_the_grace_is_too_short_for_is_taken_up_again(tmp_path: Path) -> None:
    async with sandbox(speed=2) as url, aiohttp.ClientSession() as http:
        bot = BotProcess(tmp_path, url, grace_seconds=0)
        await bot.start()
        await PageUser(http, bot).ask("/imagine a fox", "request-later", "c")
        await bot.terminate()
        assert _rows(tmp_path, "SELECT count(*) FROM jobs WHERE state = 'delivered'") == [(0,)]

        await bot.start()
        await _all_told(tmp_path)
        await bot.terminate()

        await _paid_once(http, url, tmp_path)
        _books_are_closed(tmp_path)


async def _all_told(folder: Path) -> None:
    """Wait until nobody waits for an answer any more."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while _rows(folder, "SELECT count(*) FROM jobs WHERE notified_at IS NULL") != [(0,)]:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


async def _paid_once(http: aiohttp.ClientSession, url: str, folder: Path) -> None:
    """Every prediction that the sandbox ever made belongs to one job."""
    async with http.get(f"{url}/sandbox/predictions", headers={"Authorization": f"Bearer {TOKEN}"}) as answer:
        made = {prediction["id"] for prediction in (await answer.json())["predictions"]}
    claimed = {backend_id for (backend_id,) in _rows(folder, "SELECT backend_id FROM predictions")}
    assert made == claimed


def _books_are_closed(folder: Path) -> None:
    asked = _rows(folder, "SELECT count(*), count(DISTINCT request_key) FROM jobs")[0]
    assert asked[0] == asked[1]
    assert _rows(folder, "SELECT DISTINCT state FROM jobs") == [("delivered",)]
    assert _rows(folder, "SELECT sum(held_micros) FROM accounts") == [(0,)]
    closes = (
        "SELECT job, account FROM ledger WHERE kind IN ('settle', 'release') GROUP BY job, account HAVING count(*) > 1"
    )
    assert _rows(folder, closes) == []


def _rows(folder: Path, statement: str) -> list[tuple[object, ...]]:
    """Read beside the running bot, as an owner with a SQLite shell would."""
    connection = sqlite3.connect(f"file:{folder / 'easel.db'}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()
