"""/readyz of the whole bot: asked as often as anyone likes, and nothing is written."""

import asyncio
import hashlib
from pathlib import Path

import pytest

from tests.platforms.web.web_bot import open_web_bot


def hash_files(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir() if file.is_file()}


async def test_readyz_writes_nothing(tmp_path: Path) -> None:
    async with open_web_bot(tmp_path) as web_bot:
        browser = web_bot.open_browser()
        before: dict[str, str] = {}
        while before != (now := hash_files(tmp_path)):  # until the first sweep of the start is over
            before = now
            await asyncio.sleep(0.3)

        answers = [await browser.get("/readyz") for _ in range(5)]

        assert [answer["checks"]["database"]["ok"] for answer in answers] == [True] * 5
        assert hash_files(tmp_path) == before
        assert any(name.startswith("easel.db") for name in before)


async def test_readyz_reports_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.app.MIN_FREE_DISK_BYTES", 1 << 62)
    async with open_web_bot(tmp_path) as web_bot:
        assert await web_bot.open_browser().get("/readyz") == 503
