"""The `web` verb: invitations before the first start, and while the bot holds the database."""

import asyncio
import re
from pathlib import Path

import pytest

from bot.cli import main
from bot.platforms.web.users import KEY_FILE
from tests.platforms.web.web_bot import open_web_bot

LINK = re.compile(r"^(http://127\.0\.0\.1:\d+)/join#([\w-]{43})$", re.MULTILINE)


@pytest.fixture(autouse=True)
def chdir_to_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without .env; the database is in `data`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()


def test_people_are_invited_listed_and_removed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "people"]) == 0
    assert main(["web", "invite", "Mia"]) == 0
    assert main(["web", "invite", "Ana", "--owner"]) == 0
    assert main(["web", "invite", "Ola", "--moderator"]) == 0
    assert main(["web", "people"]) == 0
    assert main(["web", "remove", "mia"]) == 0

    output = capsys.readouterr().out
    assert output.startswith("Nobody is invited.\n")
    assert len(set(LINK.findall(output))) == 3
    assert "Send this link to Mia. It works once, within 7 days." in output
    assert output.count("The page now asks everybody for an invitation, you too") == 1
    assert re.findall(r"^(\w+) +(user|moderator|owner) +invited, not here yet$", output, re.MULTILINE) == [
        ("Mia", "user"),
        ("Ana", "owner"),
        ("Ola", "moderator"),
    ]
    assert "mia is let in no more." in output


def test_an_invitation_link_has_the_public_name(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PUBLIC_URL", "https://easel.example/")

    assert main(["web", "invite", "Mia"]) == 0

    assert capsys.readouterr().out.startswith("https://easel.example/join#")


def test_removing_an_unknown_person_fails_with_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["web", "remove", "Eve"]) == 1

    assert capsys.readouterr().err.startswith("There is nobody called “Eve” here.")


async def run_verb(*arguments: str) -> int:
    return await asyncio.to_thread(main, ["web", *arguments])


async def test_the_running_bot_answers_the_verb(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with open_web_bot(tmp_path / "data") as web_bot:
        assert await run_verb("invite", "Mia") == 0
        assert await run_verb("remove", "Eve") == 1
        output = capsys.readouterr()
        [(address, secret)] = LINK.findall(output.out)
        mia = web_bot.open_browser()

        assert address == web_bot.address
        assert output.err.startswith("There is nobody called “Eve” here.")
        assert await mia.get("/api/menu") == 401
        assert await mia.post("/api/join", {"invitation": secret}) == {"error": ""}
        assert (await mia.get("/api/me"))["name"] == "Mia"
        assert await run_verb("remove", "Mia") == 0
        assert await mia.get("/api/me") != "Mia"


async def test_a_missing_key_file_fails_with_advice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with open_web_bot(tmp_path / "data"):
        (tmp_path / "data" / KEY_FILE).unlink()

        assert await run_verb("invite", "Mia") == 1

    assert capsys.readouterr().err.strip() == (
        "The bot is running but cannot be asked: run this as the same user and with the same DATA_DIR, "
        "or stop the bot first."
    )
