"""`quota verify`: a consistent ledger passes, and each kind of inconsistency is reported."""

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta

import pytest

from bot.core.jobs import JobState
from bot.core.money import Entry, EntryKind
from bot.core.people import POLICY
from bot.credits import ledger
from bot.credits.accounts import get_granted_wallet
from bot.credits.ledger import VerificationReport, verify_ledger
from bot.storage import ledger_checks
from bot.storage.database import Database
from bot.storage.ledger_checks import Checkpoint
from bot.storage.sqlite import parse_path
from tests.conftest import WITH_SCHEMA
from tests.credits.bench import CreditsBench
from tests.fakes.samples import ANA
from tests.postgres import PostgresServer
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


async def verify(credits_bench: CreditsBench, *, is_complete: bool = False) -> VerificationReport:
    await credits_bench.wait_for_alerts()  # an alert's open transaction would keep the checkpoint where it is
    return await verify_ledger(credits_bench.database, credits_bench.clock.now(), is_complete=is_complete)


async def test_a_consistent_ledger_has_no_discrepancies(credits_bench: CreditsBench) -> None:
    await create_history(credits_bench)

    report = await verify(credits_bench)

    assert report.discrepancies == ()
    assert report.compared.endswith("5 rows of jobs, 4 rows of predictions")


async def test_runs_beyond_the_bots_budget_are_counted_in_full(credits_bench: CreditsBench) -> None:
    await credits_bench.set_bot_budget(20)
    await credits_bench.close_job(await credits_bench.start_run(await credits_bench.submit(ANA, 15)), 70)

    status = await credits_bench.credits.get_bot_budget_status()

    assert (status.spent_micros, status.limit_micros) == (70, 20)
    assert (await verify(credits_bench)).discrepancies == ()
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
    await verify(credits_bench)
    await create_history(credits_bench)

    await run_without_triggers(credits_bench, database_url, *statements)

    for is_complete in (False, True):
        assert any(expected in line for line in (await verify(credits_bench, is_complete=is_complete)).discrepancies)


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

    for is_complete in (False, True):
        lines = (await verify(credits_bench, is_complete=is_complete)).discrepancies
        assert "rows of an unknown account ghost: 1, and should be 0" in lines


# The checkpoint: a later verification reads the new rows alone.


async def read_checkpoint(credits_bench: CreditsBench) -> Checkpoint | None:
    async with credits_bench.database.read() as tx:
        return await tx.checkpoints.get()


async def test_a_second_verification_reads_only_the_new_rows(credits_bench: CreditsBench) -> None:
    await create_history(credits_bench)
    first = await verify(credits_bench)
    credits_bench.clock.pass_time(timedelta(hours=1))
    await credits_bench.spend(ANA, 1)

    second = await verify(credits_bench)
    third = await verify(credits_bench)

    assert first.older == ""
    assert "44 rows of ledger" in first.compared
    # Wallet and two budgets hold and settle once. The jobs are the new one and the open one.
    assert second.compared == ("New since 2026-11-20 12:00 UTC: 6 rows of ledger, 2 rows of jobs, 6 rows of accounts")
    assert second.older.startswith("The older 44 rows agreed before")
    assert third.compared.startswith("New since 2026-11-20 13:00 UTC: 0 rows of ledger, 1 rows of jobs")
    assert third.older.endswith("All rows were last read on 2026-11-20 12:00 UTC.")
    assert {report.discrepancies for report in (first, second, third)} == {()}


@pytest.mark.parametrize("forgery", ["a balance by hand", "a job ended without its money"])
async def test_old_accounts_and_open_jobs_are_compared_every_time(
    credits_bench: CreditsBench, database_url: str, forgery: str
) -> None:
    statements, expected = FORGERIES[forgery]
    await create_history(credits_bench)
    await verify(credits_bench)

    await run_without_triggers(credits_bench, database_url, *statements)

    report = await verify(credits_bench)
    assert report.older
    assert any(expected in line for line in report.discrepancies)


async def test_a_row_changed_before_the_checkpoint_is_found_by_reading_all_rows(
    credits_bench: CreditsBench, database_url: str
) -> None:
    await create_history(credits_bench)
    await verify(credits_bench)

    await run_without_triggers(
        credits_bench, database_url, "UPDATE ledger SET balance_delta_micros = -6 WHERE balance_delta_micros = -7"
    )
    reports = [await verify(credits_bench, is_complete=is_complete) for is_complete in (False, True, False)]

    # The checkpoint is gone: what is wrong stays reported until all rows agree again.
    assert [bool(report.discrepancies) for report in reports] == [False, True, True]


async def test_ledger_rows_deleted_at_the_end_are_noticed(credits_bench: CreditsBench, database_url: str) -> None:
    await create_history(credits_bench)
    await verify(credits_bench)

    last = "DELETE FROM ledger WHERE id = (SELECT max(id) FROM ledger)"
    await run_without_triggers(credits_bench, database_url, last)

    assert any(
        line.startswith("the ledger's row of the last check") for line in (await verify(credits_bench)).discrepancies
    )


async def test_a_broken_off_verification_leaves_the_checkpoint(credits_bench: CreditsBench) -> None:
    await create_history(credits_bench)
    await verify(credits_bench)
    before = await read_checkpoint(credits_bench)
    await credits_bench.spend(ANA, 1)

    def break_off(check: str) -> None:
        if check.startswith("5"):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        await verify_ledger(credits_bench.database, credits_bench.clock.now(), break_off, is_complete=True)

    assert before is not None
    assert await read_checkpoint(credits_bench) == before


async def test_a_checkpoint_replaced_meanwhile_is_kept(credits_bench: CreditsBench) -> None:
    await create_history(credits_bench)
    await verify(credits_bench)
    old = await read_checkpoint(credits_bench)
    await credits_bench.spend(ANA, 1)
    await verify(credits_bench)
    newer = await read_checkpoint(credits_bench)
    assert old is not None
    assert newer is not None

    async with credits_bench.database.write() as tx:
        kept = [await tx.checkpoints.replace(previous, old) for previous in (None, old)]

    assert kept == [False, False]
    assert await read_checkpoint(credits_bench) == newer


async def test_closes_after_the_end_of_an_account_agree(credits_bench: CreditsBench) -> None:
    late = await credits_bench.start_run(await credits_bench.submit(ANA, 10))
    await verify(credits_bench)
    credits_bench.clock.pass_time(timedelta(days=5))
    await credits_bench.spend(ANA, 2)
    assert (await verify(credits_bench)).discrepancies == ()
    expired = await read_checkpoint(credits_bench)

    await credits_bench.close_job(late, 10)

    assert (await verify(credits_bench)).discrepancies == ()
    assert expired is not None
    assert not any("2026-11-20" in account for account in expired.amounts)


async def test_a_run_of_too_many_jobs_makes_the_verification_read_all_rows(
    credits_bench: CreditsBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_checks, "_MAX_VALUES", 1)
    await create_history(credits_bench)
    await verify(credits_bench)
    await credits_bench.spend(ANA, 1)

    report = await verify(credits_bench)

    assert (report.older, report.discrepancies) == ("", ())


@pytest.mark.postgres
@pytest.mark.parametrize("is_committed_meanwhile", [True, False])
async def test_a_row_that_is_committed_late_is_not_skipped(
    postgres_with_schema: PostgresServer, monkeypatch: pytest.MonkeyPatch, is_committed_meanwhile: bool
) -> None:
    await postgres_with_schema.delete_rows(WITH_SCHEMA)
    database = Database(postgres_with_schema.url(WITH_SCHEMA))
    await database.open()
    bench = CreditsBench(database)
    await bench.spend(ANA, 1)
    await verify(bench)
    before = await read_checkpoint(bench)
    has_row, may_commit = asyncio.Event(), asyncio.Event()

    async def write_slowly() -> None:
        account = get_granted_wallet("web", "page", "late")
        grant = Entry(account.id, EntryKind.GRANT, 5, 0, "late", POLICY, bench.clock.now())
        async with database.write() as tx:
            await tx.ledger.open_account(account, grant)
            has_row.set()
            await may_commit.wait()

    async def list_writers_and_commit(table: str) -> set[str]:
        writers = await list_writers(table)
        may_commit.set()
        return writers

    list_writers = database.list_writers
    slow = asyncio.create_task(write_slowly())
    await has_row.wait()
    await bench.spend(ANA, 2)  # rows with greater ids than the waiting row's
    if is_committed_meanwhile:
        monkeypatch.setattr(database, "list_writers", list_writers_and_commit)
    else:
        monkeypatch.setattr(ledger, "_WRITERS_WAITS", 1)
    report = await verify(bench)
    after = await read_checkpoint(bench)
    may_commit.set()
    await slow
    later = await verify(bench)
    await database.close()

    assert f": {5 if is_committed_meanwhile else 4} rows of ledger" in report.compared
    assert (after == before) is not is_committed_meanwhile
    assert f": {0 if is_committed_meanwhile else 5} rows of ledger" in later.compared
    assert report.discrepancies == later.discrepancies == ()
