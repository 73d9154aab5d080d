"""No statement of the stores reads a whole large table: the plans of a filled database, with and without statistics."""

import importlib
import json
import pkgutil
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from bot import storage
from bot.core.people import Actor, PersonKey, Workspace
from bot.storage.connection import Statements
from bot.storage.database import Database, Transaction
from bot.storage.tables.columns import metadata
from tests.storage.bulk import analyze, fill, forget_statistics, format_job_id, stop_autovacuum
from tests.storage.rows import NOON

LARGE_TABLES = frozenset({"jobs", "ledger", "accounts", "outputs", "messages", "predictions", "turns", "audit"})
ALLOWED: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "ledger_checks._COUNTS",
            "ledger_checks._CHECKS_OF_ALL",
            "ledger_checks._ROWS_WITHOUT_ACCOUNT",
            "ledger_checks._WRONG_OR_LIVE_ACCOUNTS",
        ),
        "`quota verify --all` compares every row, on the owner's command line only",
    ),
    "jobs._SELECT": "the beginning of other statements, never run alone",
    "moderation._DELETE_AUDIT": "the retention of the audit log, once an hour, for which nobody waits",
}
JOBS = 40_000
"""With fewer jobs, reading the whole of a small table is PostgreSQL's better plan for some statements."""
RANDOM_PAGE_COST = 6
"""PostgreSQL's default is 4. A plan that holds at 6 as well does not depend on a few pages more or less."""
JOB, OTHER_JOB = format_job_id(40), format_job_id(41)
PREDICTION = f"p{JOB[1:]}"
_ACTOR = Actor("web", "page", "u7")
VALUES: Mapping[str, Any] = {
    **dict.fromkeys(("platform", "of_platform"), "web"),
    **dict.fromkeys(("workspace", "of_workspace", "user_workspace"), "page"),
    **dict.fromkeys(("user", "of_user"), "u7"),
    **dict.fromkeys(("channel", "of_channel"), "c7"),
    **dict.fromkeys(("job", "of_job"), JOB),
    **dict.fromkeys(("before", "expired_before", "dead_before"), NOON - timedelta(days=300)),
    **dict.fromkeys(("at", "until"), NOON),
    **dict.fromkeys(("most", "newer", "skipped"), 100),
    "since": NOON - timedelta(days=10),
    "author": "web:u7",
    "of_actor": _ACTOR,
    "of_message": f"m{JOB}",
    "of_conversation": "v7",
    "conversations": ["v7"],
    "ids": [JOB, OTHER_JOB],
    "predictions": [PREDICTION],
    "prediction": PREDICTION,
    "of_prediction": PREDICTION,
    "accounts": ["wallet:daily:web:u7:2026-11-19"],
    "of_account": "wallet:granted:web:page:u7",
    "scopes": ["daily", "tier", "granted"],
    "prefix": JOB[:8],
    "actors": [_ACTOR],
    "acts": [("web", "page", _ACTOR)],
    "after_entry": JOBS * 4,
    "until_entry": JOBS * 4 + 1_000,
    "entry": JOBS * 4,
}


class Explain(sa.sql.expression.Executable, sa.ClauseElement):
    """A statement's plan instead of the statement's rows."""

    inherit_cache = False
    _inline = False  # SQLAlchemy asks every statement with parameters

    def __init__(self, statement: Any) -> None:
        self.statement = statement


@compiles(Explain)
def _explain(element: Explain, compiler: Any, **options: Any) -> str:
    text = compiler.process(element.statement, **options)
    compiler._result_columns.clear()  # a plan's columns are not the statement's
    return f"{'EXPLAIN QUERY PLAN' if compiler.dialect.name == 'sqlite' else 'EXPLAIN (FORMAT JSON)'} {text}"


def list_statements() -> Iterator[tuple[str, Any]]:
    """Give the name and the statement of every constant in the modules of `bot.storage`."""
    for module in pkgutil.iter_modules(storage.__path__):
        if module.ispkg:
            continue
        for name, value in vars(importlib.import_module(f"bot.storage.{module.name}")).items():
            found = value.items() if isinstance(value, dict) else [(name, value)]
            for key, statement in found:
                if isinstance(statement, sa.Select | sa.Update | sa.Delete):
                    yield f"{module.name}.{name if key == name else f'{name}[{key}]'}", statement


async def record_statements(database: Database, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    """Call the methods that build statements, and roll back."""
    found: list[tuple[str, Any]] = []
    run = Statements.run

    async def record(self: Statements, statement: Any, parameters: Any = None) -> Any:
        found.append((" ".join(str(statement).split()), statement))
        return await run(self, statement, parameters)

    with monkeypatch.context() as patch:
        patch.setattr(Statements, "run", record)
        with suppress(InterruptedError):
            async with database.write() as tx:
                await call_methods(tx)
                raise InterruptedError
    return [(name, statement) for name, statement in found if isinstance(statement, sa.Select | sa.Update | sa.Delete)]


async def call_methods(tx: Transaction) -> None:
    person, here, before = PersonKey("web", "", "u7"), Workspace("web", "page"), NOON - timedelta(days=300)
    jobs = await tx.erasure.list_jobs(person, 2)
    await tx.erasure.list_jobs(PersonKey("web", "page", "u7"), 2)
    await tx.erasure.list_open_jobs(person)
    await tx.erasure.list_jobs_before(before, 2)
    await tx.erasure.list_jobs_before(before, 2, here)
    await tx.erasure.erase_jobs(jobs, NOON)
    await tx.erasure.delete_outputs([f"sha-{JOB}"])
    await tx.erasure.delete_turns_before(before, 2)
    await tx.erasure.delete_turns_before(before, 2, here)
    await tx.erasure.delete_page_messages_before(before, 2, here)
    await tx.erasure.erase_person(person)
    await tx.erasure.erase_workspace(here)
    await tx.jobs.move(jobs[0], jobs[0].state, NOON, error="x")


def build_parameters(statement: Any, dialect: sa.Dialect) -> dict[str, Any]:
    """Give a value for each open parameter of a statement."""
    binds = statement.compile(dialect=dialect).binds.values()
    return {bind.key: build_value(bind) for bind in binds if bind.required}


def build_value(bind: sa.BindParameter[Any]) -> Any:
    if bind.key in VALUES:
        return VALUES[bind.key]
    if bind.expanding:
        return ["x"]
    if isinstance(bind.type, sa.Boolean):
        return True
    return 1 if isinstance(bind.type, sa.Numeric | sa.Integer | sa.Float) else "x"


async def find_full_scans(tx: Transaction, statement: Any) -> list[str]:
    """List the parts of a plan that read a whole large table."""
    dialect = tx.statements._connection.dialect
    facts = build_parameters(statement, dialect)
    rows = list(await tx.statements._connection.execute(Explain(statement), facts))
    if dialect.name == "sqlite":
        return [row.detail for row in rows if is_full_scan_on_sqlite(row.detail)]
    plan = rows[0][0]
    return list(find_scans_on_postgresql((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]))


async def increase_random_page_cost(tx: Transaction) -> None:
    connection = tx.statements._connection
    if connection.dialect.name == "postgresql":
        await connection.exec_driver_sql(f"SET LOCAL random_page_cost = {RANDOM_PAGE_COST}")


_PARTIAL = frozenset(
    index.name
    for table in metadata.tables.values()
    for index in table.indexes
    if "where" in index.dialect_options["sqlite"] and index.dialect_options["sqlite"]["where"] is not None
)
_STEP = re.compile(r"(SCAN|SEARCH) (\w+)(?: USING (?:COVERING )?INDEX (\w+)(?: \((.*)\))?)?")
_ALIASES = {"hold": "ledger", "close": "ledger"}


def is_full_scan_on_sqlite(detail: str) -> bool:
    step = _STEP.match(detail)
    if step is None:
        return False
    verb, name, index, condition = step.groups()
    table = _ALIASES.get(name, name.rstrip("_0123456789"))
    if table not in LARGE_TABLES or index in _PARTIAL:
        return False
    # Most rows are of one platform.
    return verb == "SCAN" or condition == "platform=?"


def find_scans_on_postgresql(plan: Mapping[str, Any]) -> Iterator[str]:
    name, index = plan.get("Relation Name"), plan.get("Index Name")
    is_whole = plan["Node Type"] == "Seq Scan" or ("Index Cond" not in plan and index not in _PARTIAL)
    if name in LARGE_TABLES and is_whole and plan["Node Type"] not in ("Bitmap Heap Scan", "ModifyTable"):
        yield f"{plan['Node Type']} {name} {index or ''} {plan.get('Filter', '')}"
    for part in plan.get("Plans", ()):
        yield from find_scans_on_postgresql(part)


@pytest.fixture
async def filled(empty_database_url: str) -> AsyncIterator[Database]:
    # Never a database of earlier tests: the pages of their deleted rows, vacuumed or not, change the costs of plans.
    database = Database(empty_database_url)
    await database.open()
    await stop_autovacuum(database)
    await fill(database, JOBS, NOON)
    yield database
    await database.close()


@pytest.mark.timeout(300)  # filling two databases takes a minute on a busy machine
async def test_no_statement_reads_a_whole_large_table(filled: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    scans: dict[tuple[str, str], list[str]] = {}
    await forget_statistics(filled)
    statements = [
        (name, statement)
        for name, statement in [*list_statements(), *await record_statements(filled, monkeypatch)]
        if name.partition("[")[0] not in ALLOWED
    ]

    for kind in ("without statistics", "with statistics"):
        if kind == "with statistics":
            await analyze(filled, statistics_target=1000)  # a sample of 300,000 rows: every row
            # SQLite's connections load statistics when they open.
            await filled.close()
            await filled.open()
        async with filled.read() as tx:
            await increase_random_page_cost(tx)
            for name, statement in statements:
                if found := await find_full_scans(tx, statement):
                    scans[kind, name] = found

    assert len(statements) > 100
    assert scans == {}
