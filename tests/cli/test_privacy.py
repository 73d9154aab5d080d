"""The `privacy` verb: export and deletion of a person's data."""

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
from tests.storage.raw import export_person

MIA = User("web", "page", "mia", "Mia")
HERSELF = PersonKey("web", "", "mia")


@pytest.fixture(autouse=True)
def chdir_to_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without .env; the database is in `data`."""
    monkeypatch.chdir(tmp_path)


async def open_database() -> Database:
    database = Database("sqlite:///data/easel.db")
    await database.open()
    return database


async def store_job(state: JobState = JobState.DELIVERED) -> None:
    """Store Mia and a job of Mia's."""
    database = await open_database()
    async with database.write() as tx:
        await tx.people.upsert_user(MIA, NOW)
        job = make_job(user=MIA, channel=CHANNEL, options={"prompt": "Mia's own fox"})
        await tx.jobs.add(job)
        await tx.jobs.move(job, state, NOW)
    await database.close()


async def read_remaining() -> tuple[str, int]:
    """Return the export of Mia's remaining data, and the number of waiting deletions."""
    database = await open_database()
    async with database.read() as tx:
        remaining = json.dumps(await export_person(tx, HERSELF))
        deletions = await tx.pending.list_by_kind(DELETION_KIND)
    await database.close()
    return remaining, len(deletions)


def test_an_export_is_written_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(store_job())

    assert main(["privacy", "export", "web:mia", "-o", "mia.json"]) == 0

    assert capsys.readouterr().out == "Everything that is kept about them is in mia.json.\n"
    assert "Mia's own fox" in Path("mia.json").read_text(encoding="utf-8")


def test_a_deletion_is_left_to_the_bot(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(store_job())

    assert main(["privacy", "delete", "web:mia"]) == 0

    assert capsys.readouterr().out == "Written down: the bot deletes it within the hour, or at its next start.\n"
    remaining, deletions = asyncio.run(read_remaining())
    assert "Mia's own fox" in remaining
    assert deletions == 1


def test_a_deletion_with_now_is_done_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(store_job())

    assert main(["privacy", "delete", "web:mia", "--now"]) == 0

    assert capsys.readouterr().out == "It is gone. What was posted on other platforms stays there.\n"
    remaining, deletions = asyncio.run(read_remaining())
    assert "Mia" not in remaining
    assert deletions == 0


def test_running_jobs_are_left_to_the_bot(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.jobs.deletion.REPLY_TIMEOUT_SECONDS", 0.1)
    asyncio.run(store_job(JobState.QUEUED))

    assert main(["privacy", "delete", "web:mia", "--now"]) == 0

    assert capsys.readouterr().out.startswith("Jobs of theirs are not over yet.")
    assert asyncio.run(read_remaining())[1] == 1


@pytest.mark.parametrize("name", ["mia", "slack:U1", "web:", "teams:mia", "slack:T1:U1:x"])
def test_a_person_is_named_by_platform_and_id(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["privacy", "export", name]) == 1

    assert capsys.readouterr().err == f"“{name}” is nobody: a person is discord:ID, web:ID or slack:TEAM:ID.\n"


def test_an_unwritable_file_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["privacy", "export", "slack:T1:U1", "-o", "no/such/folder.json"]) == 1

    assert "I cannot write no/such/folder.json" in capsys.readouterr().err.replace("\\", "/")


def test_odd_characters_of_a_shell_neither_break_the_verb_nor_reach_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["privacy", "export", "web:\udcff\x1b[2J/../fox"]) == 0
    assert main(["quota", "show", "\udcff\x1b[2Jfox"]) == 1
    assert main(["privacy", "export", "\udcff\x1b[2J"]) == 1

    (name,) = [path.name for path in Path().glob("*.json")]
    assert name.startswith("easel-web-\ufffd\ufffd[2J_.._fox-")
    assert capsys.readouterr() == (
        f"Everything that is kept about them is in {name}.\n",
        "I have not seen “\ufffd\ufffd[2Jfox” here yet. They must have used me once.\n"
        "“\ufffd\ufffd[2J” is nobody: a person is discord:ID, web:ID or slack:TEAM:ID.\n",
    )
