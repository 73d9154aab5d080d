"""`quota verify`: right books are said to be right, and each way to be wrong is named."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing

import pytest

from bot.core.jobs import JobState
from bot.credits.verification import verify_ledger
from bot.storage.sqlite import parse_path
from tests.credits.bench import CreditsBench
from tests.fakes.samples import ANA
from tests.storage.raw import execute


async def create_history(town: CreditsBench) -> None:
    """One of everything: paid, failed after trying again, cancelled, running, beyond what was held."""
    await town.set_budget(500)
    await town.spend(ANA, 10)
    failing = await town.retry_run(await town.start_run(await town.submit(ANA, 20)), 5)
    await town.close_job(failing, 7, JobState.FAILED)
    await town.close_job(await town.submit(ANA, 3), 0, JobState.CANCELLED)
    await town.close_job(await town.start_run(await town.submit(ANA, 3)), 9)
    await town.submit(ANA, 4)
    await town.wait_for_alerts()


async def test_right_books_agree(town: CreditsBench) -> None:
    await create_history(town)

    proof = await verify_ledger(town.database)

    assert proof.discrepancies == ()
    assert proof.compared.endswith("5 rows of jobs, 4 rows of predictions")


async def test_runs_beyond_the_bots_budget_are_counted_in_full(town: CreditsBench) -> None:
    await town.set_bot_budget(20)
    await town.close_job(await town.start_run(await town.submit(ANA, 15)), 70)

    standing = await town.credits.get_bot_budget_status()

    assert (standing.spent_micros, standing.limit_micros) == (70, 20)
    assert (await verify_ledger(town.database)).discrepancies == ()
    assert await town.try_to_submit(ANA, 1) is None


FORGERIES: dict[str, tuple[Sequence[str], str]] = {
    "a fatter wallet": (
        ["UPDATE accounts SET granted_micros = granted_micros + 9 WHERE id = 'wallet:daily:web:ana:2026-11-20'"],
        "what was granted to account wallet:daily:web:ana:2026-11-20: 109, and should be 100",
    ),
    "a balance by hand": (
        ["UPDATE accounts SET balance_micros = balance_micros + 3 WHERE id = 'wallet:daily:web:ana:2026-11-20'"],
        "the balance of account wallet:daily:web:ana:2026-11-20: 90, and should be 87",
    ),
    "a hold let go by hand": (
        ["UPDATE accounts SET held_micros = 0 WHERE scope = 'daily'"],
        "what is held on account wallet:daily:web:ana:2026-11-20: 0, and should be 4",
    ),
    "a job ended without its money": (
        ["UPDATE jobs SET state = 'cancelled' WHERE state = 'accepted'"],
        "closes of holds of job",
    ),
    "a job opened again": (
        ["UPDATE jobs SET state = 'running' WHERE state = 'finished' AND cost_micros = 10"],
        "open holds of open job",
    ),
    "a job that says it was dearer": (
        ["UPDATE jobs SET cost_micros = 11 WHERE cost_micros = 10"],
        ": 10, and should be 11",
    ),
    "a run that says it was dearer": (
        ["UPDATE predictions SET cost_micros = 12 WHERE cost_micros = 10"],
        "what the bot's budget counted for prediction",
    ),
    "a lost run that says it was dearer": (
        ["UPDATE predictions SET cost_micros = 6 WHERE cost_micros = 5"],
        "what the bot's budget counted for lost prediction",
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_each_forgery_is_named(town: CreditsBench, database_url: str, forgery: str) -> None:
    statements, told = FORGERIES[forgery]
    await create_history(town)

    await without_guards(town, database_url, *statements)

    assert any(told in line for line in (await verify_ledger(town.database)).discrepancies)


async def without_guards(town: CreditsBench, url: str, *statements: str) -> None:
    """As somebody with a database shell who knows how to switch off what guards the money."""
    if not town.database.is_exclusive:
        off, on = "SET session_replication_role = replica", "SET session_replication_role = DEFAULT"
        await execute(town.database, off, *statements, on)
        return
    with closing(sqlite3.connect(parse_path(url))) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


async def test_rows_of_no_account_are_named(town: CreditsBench, database_url: str) -> None:
    row = "'ghost', '', 'grant', 1, 0, 'k', '', '', '2026-11-20 12:00:00'"
    columns = "account, job, kind, balance_delta_micros, held_delta_micros, key, actor, reason, at"

    await without_guards(town, database_url, f"INSERT INTO ledger ({columns}) VALUES ({row})")  # noqa: S608 - our own words

    assert "rows of an unknown account ghost: 1, and should be 0" in (await verify_ledger(town.database)).discrepancies
