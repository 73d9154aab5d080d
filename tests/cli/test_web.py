"""The `web` verb: invitations before the first start, and while the bot holds its database."""

import asyncio
import re
from pathlib import Path

import pytest

from bot.cli import main
from bot.platforms.web.users import KEY_FILE
from tests.platforms.web.web_bot import open_web_bot

LINK = re.compile(r"^(http://127\.0\.0\.1:\d+)/join#([\w-]{43})$", re.MULTILINE)


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without anybody's .env; data lie in `data`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()


def test_people_are_invited_listed_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "people"]) == 0
    assert main(["web", "invite", "Mia"]) == 0
    assert main(["web", "invite", "Ana", "--owner"]) == 0
    assert main(["web", "invite", "Ola", "--moderator"]) == 0
    assert main(["web", "people"]) == 0
    assert main(["web", "remove", "mia"]) == 0

    told = capsys.readouterr().out
    assert told.startswith("Nobody is invited.\n")
    assert len(set(LINK.findall(told))) == 3
    assert "Send this link to Mia. It works once, within 7 days." in told
    assert told.count("The page now asks everybody for an invitation, you too") == 1
    assert re.findall(r"^(\w+) +(user|moderator|owner) +invited, not here yet$", told, re.MULTILINE) == [
        ("Mia", "user"),
        ("Ana", "owner"),
        ("Ola", "moderator"),
    ]
    assert "mia is let in no more." in told


def test_a_link_has_the_public_name_where_there_is_one(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://easel.example/")

    assert main(["web", "invite", "Mia"]) == 0

    assert capsys.readouterr().out.startswith("https://easel.example/join#")


def test_nobody_of_that_name_is_told_in_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "remove", "Eve"]) == 1

    assert capsys.readouterr().err.startswith("There is nobody called “Eve” here.")


async def verb(*arguments: str) -> int:
    return await asyncio.to_thread(main, ["web", *arguments])


async def test_the_running_bot_is_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with open_web_bot(tmp_path / "data") as whole:
        assert await verb("invite", "Mia") == 0
        assert await verb("remove", "Eve") == 1
        told = capsys.readouterr()
        [(address, secret)] = LINK.findall(told.out)
        mia = whole.open_browser()

        assert address == whole.address
        assert told.err.startswith("There is nobody called “Eve” here.")
        assert await mia.get("/api/menu") == 401
        assert await mia.post("/api/join", {"invitation": secret}) == {"error": ""}
        assert (await mia.get("/api/me"))["name"] == "Mia"
        assert await verb("remove", "Mia") == 0
        assert await mia.get("/api/me") != "Mia"


async def test_when_the_running_bot_cannot_be_asked_it_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with open_web_bot(tmp_path / "data"):
        (tmp_path / "data" / KEY_FILE).unlink()

        assert await verb("invite", "Mia") == 1

    assert capsys.readouterr().err.strip() == (
        "The bot is running but cannot be asked: run this as the same user and with the same DATA_DIR, "
        "or stop the bot first."
    )
