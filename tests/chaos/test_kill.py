"""SIGKILL and SIGTERM at any moment lose, double or overpay no job."""

import asyncio
import random
import sqlite3
from pathlib import Path

import aiohttp
import pytest

from tests.catalogue.samples import write_catalogue_of_small_pictures
from tests.chaos.processes import TOKEN, BotProcess, PageUser, sandbox
from tests.emulators.comfyui.catalogue import write_catalogue
from tests.emulators.comfyui.emulator import ComfyUIEmulator
from tests.fakes.backend import make_png

pytestmark = [pytest.mark.chaos, pytest.mark.timeout(120)]

ROUNDS = 4
JOBS = 30
DELIVERY_TIMEOUT_SECONDS = 60.0


def list_requests() -> list[tuple[str, bytes | None]]:
    """Return thirty requests: pictures, texts, sounds and videos; some are equal."""
    kinds: list[tuple[str, bytes | None]] = [
        ("/imagine a fox in the snow --seed 7", None),
        ("/imagine a lighthouse at dusk --count 2", None),
        ("/chat what can you do?", None),
        ("/upscale --scale 2", make_png(40, 30)),
        ("/caption", make_png(50, 30, "orange")),
        ("/speak Hello, can you hear me?", None),
        ("/video a fox runs --duration 2 --quality draft --seed 7", None),
    ]
    return [kinds[n % len(kinds)] for n in range(JOBS)]


async def test_thirty_jobs_survive_sigkill_at_random_moments(tmp_path: Path) -> None:
    random_moments = random.Random(20261120)
    settings = {"CATALOGUE_PATH": str(write_catalogue_of_small_pictures(tmp_path))}
    async with sandbox(speed=0.6) as url, aiohttp.ClientSession() as http:
        bot = BotProcess(tmp_path, url, settings=settings)
        await bot.start()
        user = PageUser(http, bot)
        requests = [
            asyncio.create_task(user.send_request(text, f"request-{n:04}", f"c{n}", picture))
            for n, (text, picture) in enumerate(list_requests())
        ]
        open_at_kills = []
        for _ in range(ROUNDS):
            await _wait_for_open_job(tmp_path)
            await asyncio.sleep(random_moments.uniform(0.0, 0.5))
            await bot.kill()
            open_at_kills.append(_count_open_jobs(tmp_path))
            await bot.start()
        print("open at each kill:", open_at_kills)  # noqa: T201 - shown by pytest -s
        await asyncio.gather(*requests)
        await _wait_until_delivered(tmp_path)
        shown = [await user.list_bot_messages(f"c{n}") for n in range(JOBS)]
        assert await bot.terminate() == 0

        assert any(open_at_kills), "a kill must meet work in flight"
        assert [[message["tone"] for message in messages] for messages in shown] == [["done"]] * JOBS
        await _check_paid_once(http, url, tmp_path)
        _check_ledger_closed(tmp_path)


async def test_runs_on_a_comfyui_server_survive_sigkill(tmp_path: Path) -> None:
    random_moments = random.Random(20261201)
    async with (
        ComfyUIEmulator(tmp_path / "comfyui", step_seconds=0.03) as server,
        aiohttp.ClientSession() as http,
    ):
        catalogue = write_catalogue(tmp_path / "catalogue", server.url, steps=5)
        catalogue.write_text(catalogue.read_text().replace('usd = "0"', 'usd = "0.01"'))
        settings = {"CATALOGUE_PATH": str(catalogue), "REPLICATE_API_TOKEN": ""}
        bot = BotProcess(tmp_path / "bot", "http://127.0.0.1:9", settings=settings)
        await bot.start()
        user = PageUser(http, bot)
        asks: list[tuple[str, bytes | None]] = [
            ("/imagine a fox --seed 7", None),
            ("/edit in winter", make_png(48, 32)),
        ]
        requests = [
            asyncio.create_task(user.send_request(text, f"request-{n:04}", f"c{n}", picture))
            for n, (text, picture) in enumerate(asks * 4)
        ]
        open_at_kills = []
        for _ in range(2):
            await _wait_for_open_job(bot.folder)
            await asyncio.sleep(random_moments.uniform(0.2, 0.6))
            await bot.kill()
            open_at_kills.append(_count_open_jobs(bot.folder))
            await bot.start()
        await asyncio.gather(*requests)
        await _wait_until_delivered(bot.folder)
        shown = [await user.list_bot_messages(f"c{n}") for n in range(len(requests))]
        assert await bot.terminate() == 0

        assert any(open_at_kills), "a kill must meet work in flight"
        claimed = sorted(str(row[0]) for row in _read_rows(bot.folder, "SELECT backend_id FROM predictions"))
        assert [[message["tone"] for message in messages] for messages in shown] == [["done"]] * len(requests)
        assert sorted(server.runs.started) == claimed
        assert _read_rows(bot.folder, "SELECT DISTINCT cost_micros FROM jobs") == [(10_000,)]
        assert server.violations == []
        _check_ledger_closed(bot.folder)


async def test_sigterm_drains_within_the_grace(tmp_path: Path) -> None:
    async with sandbox(speed=0.5) as url, aiohttp.ClientSession() as http:
        bot = BotProcess(tmp_path, url, grace_seconds=20)
        await bot.start()
        await PageUser(http, bot).send_request("/imagine a fox", "request-drain", "c")

        code = await bot.terminate()

        assert code == 0
        assert _read_rows(tmp_path, "SELECT state FROM jobs") == [("delivered",)]
        assert any(b"app.drained all_ended=true" in line for line in bot.log)


async def test_jobs_that_outlast_the_grace_continue_after_the_restart(tmp_path: Path) -> None:
    async with sandbox(speed=2) as url, aiohttp.ClientSession() as http:
        bot = BotProcess(tmp_path, url, grace_seconds=0)
        await bot.start()
        await PageUser(http, bot).send_request("/imagine a fox", "request-later", "c")
        await bot.terminate()
        assert _read_rows(tmp_path, "SELECT count(*) FROM jobs WHERE state = 'delivered'") == [(0,)]

        await bot.start()
        await _wait_until_delivered(tmp_path)
        await bot.terminate()

        await _check_paid_once(http, url, tmp_path)
        _check_ledger_closed(tmp_path)


async def _wait_for_open_job(folder: Path) -> None:
    async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS):
        while not _count_open_jobs(folder):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.02)


async def _wait_until_delivered(folder: Path) -> None:
    """Wait until each job is delivered or failed visibly."""
    async with asyncio.timeout(DELIVERY_TIMEOUT_SECONDS):
        while _count_open_jobs(folder):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.1)


def _count_open_jobs(folder: Path) -> int:
    """Return the number of jobs whose person has no answer yet."""
    return len(_read_rows(folder, "SELECT id FROM jobs WHERE notified_at IS NULL"))


async def _check_paid_once(http: aiohttp.ClientSession, url: str, folder: Path) -> None:
    """Check: each prediction of the sandbox belongs to a single job."""
    async with http.get(f"{url}/sandbox/predictions", headers={"Authorization": f"Bearer {TOKEN}"}) as response:
        created = {prediction["id"] for prediction in (await response.json())["predictions"]}
    claimed = {backend_id for (backend_id,) in _read_rows(folder, "SELECT backend_id FROM predictions")}
    assert created == claimed


def _check_ledger_closed(folder: Path) -> None:
    counts = _read_rows(folder, "SELECT count(*), count(DISTINCT request_key) FROM jobs")[0]
    assert counts[0] == counts[1]
    assert _read_rows(folder, "SELECT DISTINCT state FROM jobs") == [("delivered",)]
    assert _read_rows(folder, "SELECT sum(held_micros) FROM accounts") == [(0,)]
    closes = (
        "SELECT job, account FROM ledger WHERE kind IN ('settle', 'release') GROUP BY job, account HAVING count(*) > 1"
    )
    assert _read_rows(folder, closes) == []


def _read_rows(folder: Path, statement: str) -> list[tuple[object, ...]]:
    """Read the database beside the running bot, as an owner with a SQLite shell does."""
    connection = sqlite3.connect(f"file:{folder / 'easel.db'}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()
