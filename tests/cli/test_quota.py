"""The `quota` verb: the owner's hand on the money of this machine."""

import asyncio
from pathlib import Path

import pytest

from bot.cli import main
from bot.core.people import User
from bot.storage.database import Database
from tests.conftest import WITH_SCHEMA
from tests.credits.bench import CreditsBench
from tests.fakes.samples import ANA, NOW
from tests.postgres import PostgresServer
from tests.storage.raw import execute

MIA = User("discord", "42", "mia", "Mia")


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without anybody's .env; data lie in `data`."""
    monkeypatch.chdir(tmp_path)


async def opened(url: str = "sqlite:///data/easel.db") -> Database:
    database = Database(url)
    await database.open()
    return database


async def seen() -> None:
    database = await opened()
    async with database.write() as tx:
        await tx.people.upsert_user(MIA, NOW)
    await database.close()


def test_the_verbs_of_the_chat_work_for_the_owner(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(seen())

    assert main(["quota", "grant", "Mia", "50", "--in", "discord:42"]) == 0
    assert main(["quota", "budget", "set", "500", "--in", "discord:42"]) == 0
    assert main(["quota", "role", "set", "70007", "--day", "700", "--name", "Gold tier", "--in", "discord:42"]) == 0
    assert main(["quota", "show", "--in", "discord:42"]) == 0

    assert capsys.readouterr().out == (
        "Mia got 50 credits, and has 50 extra credits now.\n"
        "This workspace may spend 500 credits a month, and spent 0 this month.\n"
        "Gold tier: 700 credits each day.\n"
        "This workspace: at most 500 credits a month.\n\nRoles\n- Gold tier (<@&70007>): 700 credits each day\n"
    )


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["grant", "zoe", "5"], "I have not seen “zoe” here yet. They must have used me once.\n"),
        (["gift", "zoe", "5"], "There is no command called “quota gift”."),
        (["show", "--in", "nowhere"], "--in names a platform and a workspace, as in discord:GUILD_ID.\n"),
        (["channel", "set", "--models", "sdxl"], "Say which channel.\n"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(capsys: pytest.CaptureFixture[str], words: list[str], told: str) -> None:
    assert main(["quota", *words]) == 1

    assert capsys.readouterr().err.startswith(told)


def test_a_table_goes_to_the_terminal_or_into_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    async def spend() -> None:
        database = await opened()
        town = CreditsBench(database)
        await town.spend(ANA, 10)
        await database.close()

    asyncio.run(spend())

    assert main(["quota", "export", "2026-11"]) == 0
    assert main(["quota", "export", "2026-11", "-o", "a.csv"]) == 0
    assert main(["quota", "export", "2026-11", "-o", "none/a.csv"]) == 1

    told = capsys.readouterr()
    assert told.out.startswith("time,user,name,command,model,state,credits,job")
    assert told.out.endswith("1 job of 2026-11. They are in a.csv.\n")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"time,user,name")
    assert "I cannot write none/a.csv" in told.err.replace("\\", "/")


def test_verify_says_that_the_books_agree_or_which_row_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    async def forge() -> None:
        database = await opened()
        await CreditsBench(database).spend(ANA, 10)
        await execute(database, "UPDATE jobs SET cost_micros = 11")
        await database.close()

    assert main(["quota", "verify"]) == 0
    asyncio.run(forge())
    assert main(["quota", "verify"]) == 1

    right, wrong, *_, verdict = capsys.readouterr().out.splitlines()
    assert right.endswith("0 rows of predictions: they agree.")
    assert wrong.startswith("what was paid for job ")
    assert wrong.endswith(": 10, and should be 11")
    assert verdict.endswith("1 rows of jobs, 1 rows of predictions: 1 disagree.")


def test_sqlite_is_the_running_bots_alone(capsys: pytest.CaptureFixture[str]) -> None:
    async def both() -> int:
        database = await opened()
        code = await asyncio.to_thread(main, ["quota", "verify"])
        await database.close()
        return code

    assert asyncio.run(both()) == 1

    assert "Another Easel is using this database" in capsys.readouterr().err


@pytest.mark.postgres
def test_postgresql_is_shared_with_the_running_bot(
    postgres_with_schema: PostgresServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_with_schema.url(WITH_SCHEMA)
    monkeypatch.setenv("DATABASE_URL", url)

    async def both() -> int:
        await postgres_with_schema.delete_rows(WITH_SCHEMA)
        database = await opened(url)
        code = await asyncio.to_thread(main, ["quota", "verify"])
        await database.close()
        return code

    assert asyncio.run(both()) == 0

    assert "they agree" in capsys.readouterr().out
