"""`quota verify`: a consistent ledger passes, and each kind of inconsistency is reported."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing

import pytest

from bot.core.jobs import JobState
from bot.credits.ledger import verify_ledger
from bot.storage.sqlite import parse_path
from tests.credits.bench import CreditsBench
from tests.fakes.samples import ANA
from tests.storage.raw import execute


async def create_history(credits_bench: CreditsBench) -> None:
    """Create jobs of each kind: settled, failed after a retry, cancelled, open, above the hold."""
    await credits_bench.set_budget(500)
    await credits_bench.spend(ANA, 10)
    failing = await credits_bench.retry_run(await credits_bench.start_run(await credits_bench.submit(ANA, 20)), 5)
    await credits_bench.close_job(failing, 7, JobState.FAILED)
    await credits_bench.close_job(await credits_bench.submit(ANA, 3), 0, JobState.CANCELLED)
    await credits_bench.close_job(await credits_bench.start_run(await credits_bench.submit(ANA, 3)), 9)
    await credits_bench.submit(ANA, 4)
    await credits_bench.wait_for_alerts()


async def test_a_consistent_ledger_has_no_discrepancies(credits_bench: CreditsBench) -> None:
    await create_history(credits_bench)

    report = await verify_ledger(credits_bench.database)

    assert report.discrepancies == ()
    assert report.compared.endswith("5 rows of jobs, 4 rows of predictions")


async def test_runs_beyond_the_bots_budget_are_counted_in_full(credits_bench: CreditsBench) -> None:
    await credits_bench.set_bot_budget(20)
    await credits_bench.close_job(await credits_bench.start_run(await credits_bench.submit(ANA, 15)), 70)

    status = await credits_bench.credits.get_bot_budget_status()

    assert (status.spent_micros, status.limit_micros) == (70, 20)
    assert (await verify_ledger(credits_bench.database)).discrepancies == ()
    assert await credits_bench.try_to_submit(ANA, 1) is None


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
    "a failed run counted as dearer": (
        ["UPDATE ledger SET balance_delta_micros = -8 WHERE kind = 'expire' AND balance_delta_micros = -7"],
        "what failed runs cost for job",
    ),
    "a workspace that counted less of a failed run": (
        [
            "UPDATE ledger SET balance_delta_micros = -6 WHERE kind = 'settle' AND balance_delta_micros = -7"
            " AND account LIKE 'budget:workspace:%'"
        ],
        "what the workspace's budget counted for job",
    ),
    "a lost run that says it was dearer": (
        ["UPDATE predictions SET cost_micros = 6 WHERE cost_micros = 5"],
        "what the bot's budget counted for lost prediction",
    ),
}


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_each_forgery_is_reported(credits_bench: CreditsBench, database_url: str, forgery: str) -> None:
    statements, expected = FORGERIES[forgery]
    await create_history(credits_bench)

    await run_without_triggers(credits_bench, database_url, *statements)

    assert any(expected in line for line in (await verify_ledger(credits_bench.database)).discrepancies)


async def run_without_triggers(credits_bench: CreditsBench, url: str, *statements: str) -> None:
    """Run statements as an attacker with a database shell, with the ledger's triggers switched off."""
    if not credits_bench.database.is_exclusive:
        off, on = "SET session_replication_role = replica", "SET session_replication_role = DEFAULT"
        await execute(credits_bench.database, off, *statements, on)
        return
    with closing(sqlite3.connect(parse_path(url))) as connection, connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            connection.execute(statement)


async def test_rows_of_an_unknown_account_are_reported(credits_bench: CreditsBench, database_url: str) -> None:
    row = "'ghost', '', 'grant', 1, 0, 'k', '', '', '2026-11-20 12:00:00'"
    columns = "account, job, kind, balance_delta_micros, held_delta_micros, key, actor, reason, at"

    await run_without_triggers(credits_bench, database_url, f"INSERT INTO ledger ({columns}) VALUES ({row})")  # noqa: S608 - our own words

    assert (
        "rows of an unknown account ghost: 1, and should be 0"
        in (await verify_ledger(credits_bench.database)).discrepancies
    )
