"""Cog's own server and A1111 under the whole bot: the example of the docs, and SIGKILL with runs in flight."""

import asyncio
import re
import sqlite3
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.backends.conftest import require_package
from tests.backends.openai.catalogue import BY_TOKENS, make_backend, make_chat_model
from tests.chaos.processes import ROOT, BotProcess, PageUser
from tests.emulators.a1111.server import A1111Server
from tests.emulators.openai.server import open_openai_server
from tests.servers.cog_server import CogServer, serve

pytestmark = [pytest.mark.chaos, pytest.mark.servers, pytest.mark.timeout(120)]

JOBS = 3
PRICE_MICROS = 10_000

PAINTERS = """
[backends.gpu]
kind = "cog"
url = "{cog}"

[own-cog]
title = "Own Cog"
task = "imagine"
backend = "gpu"
ref = "painter"
output = "pictures"
usual_seconds = 1
max_seconds = 60
fixed = {{ seconds = 1.5 }}
price = {{ tiers = [{{ per = "run", usd = "0.01" }}], source = "test", read_on = 2026-12-01 }}
inputs = {{ prompt = "prompt", seed = "seed" }}

[backends.sd]
kind = "a1111"
url = "{sd}"
at_once = 1

[own-sd]
title = "Own SD"
task = "imagine"
backend = "sd"
ref = "v1-5-pruned.safetensors"
output = "pictures"
usual_seconds = 1
max_seconds = 60
price = {{ tiers = [{{ per = "run", usd = "0.01" }}], source = "test", read_on = 2026-12-01 }}
inputs = {{ prompt = "prompt", seed = "seed" }}
"""


@pytest.fixture(autouse=True)
def cog_package(request: pytest.FixtureRequest) -> None:
    require_package("cog", request.config)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def start_bot(folder: Path, catalogue: str) -> BotProcess:
    path = folder / "models.toml"
    path.write_text(catalogue, encoding="utf-8")
    return BotProcess(folder / "data", "http://127.0.0.1:9", settings={"CATALOGUE_PATH": str(path)})


async def test_the_example_of_the_docs_draws_what_imagine_asks_for(tmp_path: Path, http: aiohttp.ClientSession) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", (ROOT / "docs" / "backends.md").read_text(encoding="utf-8"), re.DOTALL)
    documented = next(block for block in blocks if "poster" in tomllib.loads(block))
    (tmp_path / "cog").mkdir()
    async with serve(tmp_path / "cog", "run.py:Runner") as server:
        bot = start_bot(tmp_path, documented.replace("http://127.0.0.1:8393", server.url))
        await bot.start()

        await PageUser(http, bot).send_request("/imagine a lighthouse --model poster --aspect 16:9", "request-1", "c")
        await wait_until_delivered(bot.folder)

        assert await bot.terminate() == 0
        assert read_rows(bot.folder, "SELECT width, height, mime FROM outputs") == [(1024, 576, "image/png")]


async def test_sigkill_with_runs_in_flight_loses_doubles_and_charges_nothing_wrongly(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    (tmp_path / "cog").mkdir()
    async with serve(tmp_path / "cog", "painter.py:Painter") as cog, A1111Server().serve() as sd:
        sd.holds_runs = True
        bot = start_bot(tmp_path, PAINTERS.format(cog=cog.url, sd=sd.url))
        await bot.start()
        user = PageUser(http, bot)
        for number in range(JOBS):
            await user.send_request(f"/imagine {number} foxes --model own-cog", f"request-cog-{number}", f"cog{number}")
            await user.send_request(f"/imagine {number} foxes --model own-sd", f"request-sd-{number}", f"sd{number}")
        await wait_until(bot.folder, "SELECT count(*) FROM jobs WHERE state = 'running'", 2)

        await bot.kill()
        sd.release()
        await bot.start()
        await wait_until_delivered(bot.folder)
        shown = [await user.list_bot_messages(f"{name}{n}") for name in ("cog", "sd") for n in range(JOBS)]
        assert await bot.terminate() == 0

        assert [len(messages) for messages in shown] == [1] * 2 * JOBS
        ends = read_rows(bot.folder, "SELECT model, error, cost_micros FROM jobs ORDER BY model, error")
        assert ends[:JOBS] == [("own-cog", "", PRICE_MICROS)] * JOBS
        assert ends[JOBS : 2 * JOBS - 1] == [("own-sd", "", PRICE_MICROS)] * (JOBS - 1)
        assert ends[-1][::2] == ("own-sd", 0)
        assert "You were not charged" in str(ends[-1][1])
        check_ledger(bot.folder)
        await check_idle(http, cog)


async def test_sigkill_during_answers_that_no_server_keeps_ends_each_as_the_owner_says(
    tmp_path: Path, http: aiohttp.ClientSession
) -> None:
    async with open_openai_server() as home, open_openai_server() as cloud:
        for server in (home, cloud):
            server.will(hangs_after=1)
        catalogue = (
            make_backend(home.url)
            + make_backend(cloud.url, name="cloud", lost_runs="charge")
            + make_chat_model(BY_TOKENS)
            + make_chat_model(BY_TOKENS, key="rented", backend="cloud")
        )
        bot = start_bot(tmp_path, catalogue)
        await bot.start()
        user = PageUser(http, bot)
        for number in range(JOBS):
            for model in ("talker", "rented"):
                line = f"/chat Hello {number} --model {model}"
                await user.send_request(line, f"request-{model}-{number}", f"{model}{number}")
        await wait_until(bot.folder, "SELECT count(*) FROM jobs WHERE state = 'running'", 2 * JOBS)

        await bot.kill()
        await bot.start()
        await wait_until_delivered(bot.folder)
        assert await bot.terminate() == 0

        ends = read_rows(
            bot.folder, "SELECT model, cost_micros = max_micros, cost_micros, error FROM jobs ORDER BY model"
        )
        assert [row[:2] for row in ends[:JOBS]] == [("rented", 1)] * JOBS
        assert all("you were charged" in str(row[3]) for row in ends[:JOBS])
        assert [row[::2] for row in ends[JOBS:]] == [("talker", 0)] * JOBS
        assert all(str(row[3]).endswith("You were not charged.") for row in ends[JOBS:])
        # Nothing ran twice.
        assert (len(home.requests), len(cloud.requests)) == (JOBS, JOBS)
        check_ledger(bot.folder)


def check_ledger(folder: Path) -> None:
    assert read_rows(folder, "SELECT sum(held_micros) FROM accounts") == [(0,)]
    closes = "SELECT job FROM ledger WHERE kind IN ('settle', 'release') GROUP BY job, account HAVING count(*) > 1"
    assert read_rows(folder, closes) == []


async def check_idle(http: aiohttp.ClientSession, server: CogServer) -> None:
    """Check: no run of the killed bot is left at the server."""
    assert await server.read_status(http) == "READY"


async def wait_until_delivered(folder: Path) -> None:
    await wait_until(folder, "SELECT count(*) FROM jobs WHERE notified_at IS NULL", 0)


async def wait_until(folder: Path, statement: str, count: int) -> None:
    """Wait until a statement counts so many rows, in the database of another process."""
    for _ in range(600):
        if read_rows(folder, statement) == [(count,)]:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"never {count}: {statement}")


def read_rows(folder: Path, statement: str) -> list[tuple[object, ...]]:
    connection = sqlite3.connect(f"file:{folder / 'easel.db'}?mode=ro", uri=True, timeout=10)
    try:
        return connection.execute(statement).fetchall()
    finally:
        connection.close()
