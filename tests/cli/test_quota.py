"""The `quota` verb: the owner's settings of budgets, and the check of the ledger."""

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
def chdir_to_empty_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Run in a folder without .env; the database is in `data`."""
    monkeypatch.chdir(tmp_path)


async def open_database(url: str = "sqlite:///data/easel.db") -> Database:
    database = Database(url)
    await database.open()
    return database


async def store_mia() -> None:
    database = await open_database()
    async with database.write() as tx:
        await tx.people.upsert_user(MIA, NOW)
    await database.close()


def test_the_verbs_of_quota_work_for_the_owner(capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(store_mia())

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
    ("words", "output"),
    [
        (["grant", "zoe", "5"], "I have not seen “zoe” here yet. They must have used me once.\n"),
        (["gift", "zoe", "5"], "There is no command called “quota gift”."),
        (["show", "--in", "nowhere"], "--in names a platform and a workspace, as in discord:GUILD_ID.\n"),
        (["channel", "set", "--models", "sdxl"], "Say which channel.\n"),
    ],
)
def test_an_impossible_verb_fails_with_a_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], output: str
) -> None:
    assert main(["quota", *words]) == 1

    assert capsys.readouterr().err.startswith(output)


def test_an_export_is_printed_or_written_to_a_file(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    async def spend() -> None:
        database = await open_database()
        bench = CreditsBench(database)
        await bench.spend(ANA, 10)
        await database.close()

    asyncio.run(spend())

    assert main(["quota", "export", "2026-11"]) == 0
    assert main(["quota", "export", "2026-11", "-o", "a.csv"]) == 0
    assert main(["quota", "export", "2026-11", "-o", "none/a.csv"]) == 1

    output = capsys.readouterr()
    assert output.out.startswith("time,user,name,command,model,state,credits,job")
    assert output.out.endswith("1 job of 2026-11. They are in a.csv.\n")
    assert (tmp_path / "a.csv").read_bytes().startswith(b"time,user,name")
    assert "I cannot write none/a.csv" in output.err.replace("\\", "/")


def test_verify_reports_a_sound_ledger_or_the_wrong_rows(capsys: pytest.CaptureFixture[str]) -> None:
    async def forge() -> None:
        database = await open_database()
        await CreditsBench(database).spend(ANA, 10)
        await execute(database, "UPDATE jobs SET cost_micros = 11")
        await database.close()

    assert main(["quota", "verify"]) == 0
    asyncio.run(forge())
    assert main(["quota", "verify"]) == 1
    assert main(["quota", "verify", "--all"]) == 1

    printed = capsys.readouterr()
    right, wrong, new, older, again, verdict = printed.out.splitlines()
    assert right.endswith("0 rows of predictions: they agree.")
    assert wrong.startswith("what was paid for job ")
    assert wrong.endswith(": 10, and should be 11")
    assert new.startswith("New since ")
    assert new.endswith(" UTC: 7 rows of ledger, 1 rows of jobs, 3 rows of accounts: 1 disagree.")
    assert older.startswith("The older 0 rows agreed before and were not read again. All rows were last read on ")
    assert older.endswith(" `quota verify --all` reads them: only that finds an older row changed by hand.")
    assert again == wrong
    assert verdict.endswith("1 rows of jobs, 1 rows of predictions: 1 disagree.")
    # 100,000 jobs take some four seconds: the person sees what is compared.
    progress = printed.err.splitlines()
    assert (progress[0], progress[9]) == (
        "1 of 10: the amounts of accounts",
        "10 of 10: what the bot's budget counted for lost prediction",
    )
    assert len(progress) == 20


def test_doctor_says_when_the_ledger_was_last_read_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    async def age_checkpoint() -> None:
        database = await open_database()
        await execute(database, "UPDATE ledger_checkpoint SET completed_at = '2025-02-03 12:00:00.000000'")
        await database.close()

    assert main(["quota", "verify"]) == 0
    main(["doctor", "--offline"])
    fresh = capsys.readouterr().out
    asyncio.run(age_checkpoint())
    main(["doctor", "--offline"])
    old = capsys.readouterr().out

    assert "ok    The database opens, and what guards the ledger is in place.\n" in fresh
    assert (
        "warn  The database opens, and what guards the ledger is in place. The ledger was last read as a whole on"
        " 2025-02-03.\n      Run: python -m bot quota verify --all\n"
    ) in old


def test_sqlite_admits_no_second_process(capsys: pytest.CaptureFixture[str]) -> None:
    async def run_both() -> int:
        database = await open_database()
        code = await asyncio.to_thread(main, ["quota", "verify"])
        await database.close()
        return code

    assert asyncio.run(run_both()) == 1

    assert "Another Easel is using this database" in capsys.readouterr().err


@pytest.mark.postgres
def test_postgresql_admits_the_verb_beside_the_bot(
    postgres_with_schema: PostgresServer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_with_schema.url(WITH_SCHEMA)
    monkeypatch.setenv("DATABASE_URL", url)

    async def run_both() -> int:
        await postgres_with_schema.delete_rows(WITH_SCHEMA)
        database = await open_database(url)
        code = await asyncio.to_thread(main, ["quota", "verify"])
        await database.close()
        return code

    assert asyncio.run(run_both()) == 0

    assert "they agree" in capsys.readouterr().out
