"""Tests the ledger's rows, and every abuse refused by the database itself."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from bot.core.errors import Conflict, DuplicateEntry, EaselError, InternalError, Overdrawn
from bot.core.money import AccountKind, Entry, EntryKind
from bot.storage.database import Database
from tests.storage.raw import execute, list_jobs_with_open_holds
from tests.storage.rows import make_account, make_entry, make_grant, make_hold, make_job, make_release, make_settle


async def open_account(database: Database, micros: int, name: str = "wallet:ana") -> None:
    async with database.write() as tx:
        await tx.ledger.open_account(make_account(name), make_grant(micros, account=name))


async def append(database: Database, *entries: Entry) -> None:
    async with database.write() as tx:
        await tx.ledger.append(entries)


async def read_amounts(database: Database, name: str = "wallet:ana") -> tuple[int, int, int]:
    async with database.read() as tx:
        account = await tx.ledger.get_account(name)
    assert account
    return account.balance_micros, account.held_micros, account.granted_micros


async def test_an_account_is_opened_once_with_the_grant(database: Database) -> None:
    account = replace(make_account(), balance_micros=999, held_micros=9, granted_micros=999)

    async with database.write() as tx:
        opened = [await tx.ledger.open_account(account, make_grant(50)) for _ in range(2)]

    assert opened == [True, False]
    async with database.read() as tx:
        assert await tx.ledger.get_account("wallet:ana") == replace(
            account, balance_micros=50, held_micros=0, granted_micros=50
        )
        assert await tx.ledger.get_account("wallet:ben") is None


async def test_every_kind_of_row_moves_the_account(database: Database) -> None:
    await open_account(database, 100)
    steps: Sequence[tuple[Entry, tuple[int, int, int]]] = [
        (make_entry(EntryKind.ADJUST, 20, 0), (120, 0, 120)),
        (make_hold(30), (120, 30, 120)),
        (make_hold(0, job="free"), (120, 30, 120)),
        (make_settle(30, 12), (108, 0, 120)),
        (make_hold(40, job="j2"), (108, 40, 120)),
        (make_release(40, job="j2"), (108, 0, 120)),
        (make_entry(EntryKind.ADJUST, -8, 0), (100, 0, 112)),
        (make_entry(EntryKind.EXPIRE, -100, 0), (0, 0, 112)),
    ]

    for entry, expected in steps:
        await append(database, entry)
        assert await read_amounts(database) == expected


ABUSES: dict[str, tuple[type[EaselError], list[Entry]]] = {
    "the same grant twice": (DuplicateEntry, [make_grant(5, key="daily"), make_grant(5, key="daily")]),
    "a negative grant": (InternalError, [make_grant(-5)]),
    "a hold above what is there": (Overdrawn, [make_hold(51)]),
    "two holds above what is there": (Overdrawn, [make_hold(30), make_hold(21, job="j2")]),
    "a second hold for a job": (DuplicateEntry, [make_hold(5), make_hold(5)]),
    "a negative hold": (InternalError, [make_hold(-5)]),
    "a hold without a job": (InternalError, [make_hold(5, job="")]),
    "a hold on no account": (InternalError, [make_hold(5, account="nobody")]),
    "a settle unlike its hold": (InternalError, [make_hold(10), make_settle(9, 5)]),
    "a settle above its hold": (InternalError, [make_hold(10), make_settle(10, 11)]),
    "a settle that pays out": (InternalError, [make_hold(10), make_settle(10, -1)]),
    "a settle twice": (DuplicateEntry, [make_hold(10), make_settle(10, 5), make_settle(10, 5)]),
    "a release after a settle": (DuplicateEntry, [make_hold(10), make_settle(10, 5), make_release(10)]),
    "a settle after a release": (DuplicateEntry, [make_hold(10), make_release(10), make_settle(10, 5)]),
    "a release without a hold": (InternalError, [make_release(10)]),
    "a release of another account's hold": (InternalError, [make_hold(10), make_release(10, account="wallet:ben")]),
    "a release that pays": (InternalError, [make_hold(10), make_entry(EntryKind.RELEASE, 5, -10)]),
    "an adjustment below what is held": (Overdrawn, [make_hold(40), make_entry(EntryKind.ADJUST, -11, 0)]),
    "an adjustment of holds": (InternalError, [make_entry(EntryKind.ADJUST, 0, 5)]),
    "an expiry that pays": (InternalError, [make_entry(EntryKind.EXPIRE, 5, 0)]),
    "an expiry below zero": (Overdrawn, [make_entry(EntryKind.EXPIRE, -51, 0)]),
}


@pytest.mark.parametrize("abuse", ABUSES)
async def test_the_database_refuses(database: Database, abuse: str) -> None:
    error, entries = ABUSES[abuse]
    await open_account(database, 50)
    await open_account(database, 50, "wallet:ben")
    await append(database, *entries[:-1])
    before = await read_amounts(database)

    with pytest.raises(error):
        await append(database, entries[-1])

    assert await read_amounts(database) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger SET balance_delta_micros = 1000",
        "UPDATE ledger SET actor = 'somebody else'",
        "DELETE FROM ledger",
        "UPDATE accounts SET balance_micros = balance_micros + 1000, granted_micros = granted_micros + 1000",
        "UPDATE accounts SET held_micros = 0, last_entry = last_entry + 1",
        "UPDATE accounts SET id = 'mine'",
        "DELETE FROM accounts",
        "INSERT INTO accounts (id, kind, balance_micros, granted_micros) VALUES ('mine', 'wallet', 1000, 1000)",
        "INSERT INTO accounts (id, kind) VALUES ('mine', 'purse')",
    ],
)
async def test_the_database_refuses_sql_by_hand(database: Database, database_url: str, statement: str) -> None:
    await open_account(database, 50)
    await append(database, make_hold(10))

    with pytest.raises(InternalError, match="refuse"):
        await execute(database, statement)

    assert await read_amounts(database) == (50, 10, 50)


async def test_replacing_a_row_is_refused_on_sqlite_and_truncating_on_postgresql(
    database: Database, database_url: str
) -> None:
    await open_account(database, 50)
    replace_row = (
        "INSERT OR REPLACE INTO ledger (id, account, kind, balance_delta_micros, held_delta_micros, key, at)"
        " VALUES (1, 'wallet:ana', 'grant', 1000, 0, 'again', '2026-11-20')"
    )

    with pytest.raises(InternalError, match="rows are final"):
        await execute(database, replace_row if database_url.startswith("sqlite") else "TRUNCATE ledger")

    assert await read_amounts(database) == (50, 0, 50)


async def test_forty_holds_race_for_fifty_and_five_win(database: Database) -> None:
    await open_account(database, 50)

    async def hold(number: int) -> bool:
        try:
            async with database.write() as tx:
                await tx.ledger.append([make_hold(10, job=f"j{number}")])
        except Overdrawn:
            return False
        return True

    won = await asyncio.gather(*(hold(number) for number in range(40)))

    assert sum(won) == 5
    assert await read_amounts(database) == (50, 50, 50)


async def test_locked_accounts_are_read_without_lost_updates(database: Database) -> None:
    """Each of forty tasks reads the available amount and takes half: with locks, no task reads a stale amount."""
    for name in ("wallet:ana", "wallet:ben"):
        await open_account(database, 2**40, name)

    async def take_half(number: int) -> None:
        names = ["wallet:ana", "wallet:ben", "nobody"]
        async with database.write() as tx:
            locked = await tx.ledger.lock_accounts(names if number % 2 else names[::-1])
            assert list(locked) == ["wallet:ana", "wallet:ben"]
            holds = [
                make_hold(account.available_micros // 2, job=f"j{number}", account=name)
                for name, account in locked.items()
            ]
            await tx.ledger.append(holds)

    await asyncio.gather(*(take_half(number) for number in range(40)))

    assert await read_amounts(database) == (2**40, 2**40 - 1, 2**40)


async def test_open_holds_are_listed_wallets_first_then_by_time(database: Database) -> None:
    async with database.write() as tx:
        await tx.ledger.open_account(make_account("a:budget", AccountKind.BUDGET), make_grant(50, account="a:budget"))
    for name in ("wallet:z", "wallet:b", "wallet:c"):
        await open_account(database, 50, name)
    drawn = [make_hold(n, account=name) for n, name in enumerate(("a:budget", "wallet:z", "wallet:b", "wallet:c"))]
    await append(database, *drawn)
    await append(database, make_release(2, account="wallet:b"), make_hold(1, account="wallet:b", job="j2"))
    await append(database, make_settle(1, 1, account="wallet:b", job="j2"))

    async with database.read() as tx:
        holds = await tx.ledger.list_open_holds("j1")
    jobs = await list_jobs_with_open_holds(database)

    assert [(hold.account.id, hold.amount_micros) for hold in holds] == [
        ("wallet:z", 1),
        ("wallet:c", 3),
        ("a:budget", 0),
    ]
    assert holds[0].account.held_micros == 1
    assert jobs == ["j1"]


async def test_entries_are_read_back_as_written(database: Database) -> None:
    await open_account(database, 50)
    await open_account(database, 50, "wallet:ben")
    entries = [make_hold(10, reason="Ana’s fox"), make_settle(10, 5)]
    await append(database, *entries)

    async with database.read() as tx:
        assert (await tx.ledger.list_entries(["wallet:ana"]))[1:] == entries
        assert len(await tx.ledger.list_entries(["wallet:ana", "wallet:ben"])) == 4
        assert await tx.ledger.list_entries([]) == []
        assert await tx.ledger.list_job_entries("j1") == entries


async def test_spending_is_summed_by_model_dearest_first(database: Database) -> None:
    await open_account(database, 100)
    await open_account(database, 100, "wallet:ben")
    async with database.write() as tx:
        for model, cost in (("sdxl", 5), ("llama", 30), ("sdxl", 7)):
            job = make_job(model=model)
            await tx.jobs.add(job)
            for account in ("wallet:ana", "wallet:ben"):
                await tx.ledger.append([make_hold(30, job=job.id, account=account)])
                await tx.ledger.append([make_settle(30, cost, job=job.id, account=account)])

    async with database.read() as tx:
        assert await tx.ledger.sum_spent_by_model(["wallet:ana"]) == [("llama", 1, 30), ("sdxl", 2, 12)]
        assert await tx.ledger.sum_spent_by_model(["wallet:ana", "wallet:ben"]) == [("llama", 1, 60), ("sdxl", 2, 24)]


async def test_an_error_rolls_all_entries_back(database: Database) -> None:
    await open_account(database, 50)
    job = make_job()

    async def ask() -> None:
        async with database.write() as tx:
            await tx.jobs.add(job)
            await tx.ledger.append([make_hold(10, job=job.id), make_hold(10, job=job.id)])

    with pytest.raises(Conflict):
        await ask()

    async with database.read() as tx:
        assert await tx.jobs.get(job.id) is None
        assert await tx.ledger.list_job_entries(job.id) == []
    assert await read_amounts(database) == (50, 0, 50)
