"""The `privacy` verb: a person's own data, for requests that come by mail."""

import asyncio
import json
from pathlib import Path

import pytest

from bot.cli import main
from bot.core.jobs import JobState
from bot.core.people import PersonKey, User
from bot.jobs.deletion import DELETION_KIND
from bot.storage.database import Database
from tests.fakes.samples import CHANNEL, NOW, make_job

MIA = User("web", "page", "mia", "Mia")
HERSELF = PersonKey("web", "", "mia")


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without anybody's .env; data lie in `data`."""
    monkeypatch.chdir(tmp_path)


async def opened() -> Database:
    database = Database("sqlite:///data/easel.db")
    await database.open()
    return database


async def ask(state: JobState = JobState.DELIVERED) -> None:
    """Mia was here and asked for something."""
    database = await opened()
    async with database.write() as tx:
        await tx.people.upsert_user(MIA, NOW)
        asked = make_job(user=MIA, channel=CHANNEL, options={"prompt": "Mia's own fox"})
        await tx.jobs.add(asked)
        await tx.jobs.move(asked, state, NOW)
    await database.close()


async def kept() -> tuple[str, int]:
    """What is left of her, and how many deletions wait."""
    database = await opened()
    async with database.read() as tx:
        left = json.dumps(await tx.erasure.export_person(HERSELF))
        wishes = await tx.pending.list_by_kind(DELETION_KIND)
    await database.close()
    return left, len(wishes)


def test_an_export_is_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(ask())

    assert main(["privacy", "export", "web:mia", "-o", "mia.json"]) == 0

    assert capsys.readouterr().out == "Everything that is kept about them is in mia.json.\n"
    assert "Mia's own fox" in Path("mia.json").read_text(encoding="utf-8")


def test_a_deletion_is_written_down_for_the_bot(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(ask())

    assert main(["privacy", "delete", "web:mia"]) == 0

    assert capsys.readouterr().out == "Written down: the bot deletes it within the hour, or at its next start.\n"
    left, wishes = asyncio.run(kept())
    assert "Mia's own fox" in left
    assert wishes == 1


def test_a_deletion_may_be_done_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(ask())

    assert main(["privacy", "delete", "web:mia", "--now"]) == 0

    assert capsys.readouterr().out == "It is gone. What was posted on other platforms stays there.\n"
    left, wishes = asyncio.run(kept())
    assert "Mia" not in left
    assert wishes == 0


def test_what_still_runs_is_left_to_the_bot(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.jobs.deletion.REPLY_TIMEOUT_SECONDS", 0.1)
    asyncio.run(ask(JobState.QUEUED))

    assert main(["privacy", "delete", "web:mia", "--now"]) == 0

    assert capsys.readouterr().out.startswith("Jobs of theirs are not over yet.")
    assert asyncio.run(kept())[1] == 1


@pytest.mark.parametrize("name", ["mia", "slack:U1", "web:", "teams:mia", "slack:T1:U1:x"])
def test_somebody_is_named_by_platform_and_id(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["privacy", "export", name]) == 1

    assert capsys.readouterr().err == f"“{name}” is nobody: a person is discord:ID, web:ID or slack:TEAM:ID.\n"


def test_a_file_that_cannot_be_written_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privacy", "export", "slack:T1:U1", "-o", "no/such/folder.json"]) == 1

    assert "I cannot write no/such/folder.json" in capsys.readouterr().err.replace("\\", "/")
