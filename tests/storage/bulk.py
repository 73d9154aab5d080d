"""Fills a database with many jobs and all rows around each job, by a few statements of SQL text for both engines.

The distribution follows a community of some size: one person asks every twentieth job, sixty in a hundred people use
the web page (one workspace), the rest live in twenty servers of Discord; the jobs fill one year
up to `until`, or another span. Ids are scattered like random ids: neighbours in time are far apart in an index of ids.
"""

# ruff: noqa: S608 - the text of the statements is constant but for numbers

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.storage import schema
from bot.storage.database import Database
from bot.storage.tables.columns import metadata

ALIVE_WORKER = "worker-alive"
COST_MICROS = 3_000
SPAN = timedelta(days=365)

# i → (i × factor) mod a prime gives each job another number of ten digits.
_FIRST_NUMBER, _FACTOR, _PRIME = 1_000_000_000, 7_368_787, 8_999_999_993
_NUMBER = f"({_FIRST_NUMBER} + i * {_FACTOR} % {_PRIME})"

_DELTAS = "balance_delta_micros, held_delta_micros"
_ENTRY = f"INSERT INTO ledger (account, job, kind, {_DELTAS}, key, actor, at)"
_WALLET = "'wallet:daily:' || j.platform || ':' || j.\"user\" || ':' || {day}"
_BUDGET = "'budget:bot:' || {month}"


def format_job_id(i: int) -> str:
    """Return the id of the job `i`, counted from the oldest. The job's prediction has the same number."""
    return f"j{_FIRST_NUMBER + i * _FACTOR % _PRIME}"


@dataclass(frozen=True, slots=True)
class Dialect:
    """The expressions with another spelling on each engine; `seconds` counts from 1970."""

    format_time: Callable[[str], str]
    format_window: Callable[[str, bool], str]
    format_window_end: Callable[[str, str], str]
    cast_json: Callable[[str], str]
    find_indexes: str
    before: Sequence[str]
    after: Sequence[str]


_DIALECTS = {
    "sqlite": Dialect(
        format_time=lambda seconds: f"strftime('%Y-%m-%d %H:%M:%f', {seconds}, 'unixepoch') || '000'",
        format_window=lambda column, is_day: f"substr({column}, 1, {10 if is_day else 7})",
        format_window_end=lambda first_day, length: f"datetime({first_day}, '+1 {length}') || '.000000'",
        cast_json=lambda text: text,
        find_indexes="SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
        # Indexes of scattered ids fit in 500 MB.
        before=("PRAGMA cache_size = -500000", *(f"DROP TRIGGER {name}" for name in schema._SQLITE)),
        after=(*schema.list_statements("sqlite"), "PRAGMA cache_size = -2000"),
    ),
    "postgresql": Dialect(
        format_time=lambda seconds: f"to_timestamp({seconds})",
        format_window=lambda column, is_day: (
            f"to_char({column} AT TIME ZONE 'UTC', 'YYYY-MM{'-DD' if is_day else ''}')"
        ),
        format_window_end=lambda first_day, length: (
            f"(CAST({first_day} AS TIMESTAMP) + INTERVAL '1 {length}') AT TIME ZONE 'UTC'"
        ),
        cast_json=lambda text: f"CAST({text} AS JSON)",
        find_indexes=(
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = current_schema()"
            " AND indexname NOT IN (SELECT conname FROM pg_constraint)"
        ),
        before=(
            "SET LOCAL session_replication_role = replica",
            "SET LOCAL maintenance_work_mem = '1GB'",
            "SET LOCAL work_mem = '500MB'",
        ),
        after=(),
    ),
}


async def fill(
    database: Database, job_count: int, until: datetime, *, open_count: int = 200, span: timedelta = SPAN
) -> None:
    """Insert `job_count` jobs; the newest `open_count` run at a living worker. No statistics are collected.

    The ledger's triggers are off meanwhile; the amounts agree all the same, as `quota verify` proves.
    """
    async with database.write() as tx:
        connection = tx.statements._connection
        dialect = _DIALECTS[connection.dialect.name]
        for statement in dialect.before:
            await connection.exec_driver_sql(statement)
        # An index over all rows at once takes a fifth of the time of one entry after another, of scattered ids.
        indexes = [(name, text) for name, text in await connection.exec_driver_sql(dialect.find_indexes)]
        for name, _ in indexes:
            await connection.exec_driver_sql(f"DROP INDEX {name}")
        for statement in build_statements(dialect, job_count, until, span, min(open_count, job_count // 10)):
            await connection.exec_driver_sql(statement)
        for _, text in indexes:
            await connection.exec_driver_sql(text)
        for statement in dialect.after:
            await connection.exec_driver_sql(statement)


def build_statements(dialect: Dialect, job_count: int, until: datetime, span: timedelta, open_count: int) -> list[str]:
    """Give the INSERT statements in the order of the foreign keys."""
    days = {"day": dialect.format_window("j.created_at", True), "month": dialect.format_window("j.created_at", False)}
    wallet, budget = _WALLET.format(**days), _BUDGET.format(**days)
    return [
        *_build_jobs(dialect, job_count, until, span, open_count),
        *_build_words(dialect),
        *_build_accounts(dialect, wallet, budget),
        *_build_ledger(wallet, budget),
    ]


def _build_jobs(dialect: Dialect, job_count: int, until: datetime, span: timedelta, open_count: int) -> list[str]:
    first = until.timestamp() - span.total_seconds()
    at = dialect.format_time(f"({first} + i * {span.total_seconds() / job_count})")
    people = max(20, job_count // 100)
    numbers = f"""
        WITH RECURSIVE n(i) AS (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM n WHERE i < {job_count - 1}),
        p AS (SELECT i, CASE WHEN i % 20 = 0 THEN 0 ELSE (i * 7919) % {people} END AS p,
            CASE WHEN i >= {job_count - open_count} THEN 'running' WHEN i % 25 = 7 THEN 'failed' ELSE 'delivered' END
            AS state FROM n),
        a AS (SELECT i, p, state, CASE WHEN p = 0 THEN 'ana' ELSE 'u' || p END AS person,
            CASE WHEN p % 5 < 3 THEN 'web' ELSE 'discord' END AS platform,
            CASE WHEN p % 5 < 3 THEN 'page' ELSE 'g' || (p % 50) END AS workspace,
            'c' || p AS channel, i % 5 = 3 AS is_chat, {at} AS at FROM p)"""
    request = dialect.cast_json("""'{"prompt": "a lighthouse at dusk, number ' || i || ', in oils", "count": 1}'""")
    cost = f"CASE state WHEN 'delivered' THEN {COST_MICROS} ELSE 0 END"
    return [
        f"""INSERT INTO predictions (id, backend, backend_id, model, fingerprint, state, predict_seconds, cost_micros,
            created_at, submitted_at) {numbers}
            SELECT 'p' || {_NUMBER}, 'replicate', 'r' || i, 'flux-schnell', 'f' || i,
            CASE state WHEN 'running' THEN '' ELSE 'succeeded' END, 2.0,
            CASE state WHEN 'running' THEN NULL ELSE {cost} END, at, at FROM a""",
        f"""INSERT INTO jobs (id, request_key, platform, workspace, channel, "user", user_workspace, user_name, command,
            options, model, backend, inputs, prediction, conversation, state, estimate_micros, max_micros, cost_micros,
            reuse_key, owner, epoch, notified_at, created_at, updated_at, steps) {numbers}
            SELECT 'j' || {_NUMBER}, 'bulk:' || i, platform, workspace, channel, person, workspace,
            'Person ' || p, CASE WHEN is_chat THEN 'chat' ELSE 'imagine' END, {request},
            CASE WHEN is_chat THEN 'llama-3-8b' ELSE 'flux-schnell' END, 'replicate', {request},
            'p' || {_NUMBER}, CASE WHEN is_chat THEN 'v' || p ELSE '' END, state, {COST_MICROS}, {COST_MICROS},
            CASE state WHEN 'running' THEN NULL ELSE {cost} END, CASE WHEN is_chat THEN '' ELSE 'k' || i END,
            '{ALIVE_WORKER}', 1, CASE state WHEN 'running' THEN NULL ELSE at END, at, at, '' FROM a""",
        f"""INSERT INTO workers (id, beat_at) VALUES ('{ALIVE_WORKER}', {dialect.format_time(str(2**32))})""",
    ]


def _build_words(dialect: Dialect) -> list[str]:
    reply = dialect.cast_json("""'{"text": "What ' || id || ' gave, with some words around it."}'""")
    person = 'platform, user_workspace, "user"'
    return [
        """INSERT INTO outputs (prediction, n, sha256, mime, size_bytes, width, height)
            SELECT prediction, 1, 'sha-' || id, 'image/webp', 90000, 1024, 1024 FROM jobs WHERE state = 'delivered'""",
        """INSERT INTO messages (job, part, platform, workspace, channel, message, state)
            SELECT id, 0, platform, workspace, channel, 'm' || id, 'final' FROM jobs""",
        f"""INSERT INTO users (platform, workspace, id, name, name_folded, seen_at)
            SELECT {person}, min(user_name), lower(min(user_name)), max(created_at) FROM jobs GROUP BY {person}""",
        """INSERT INTO conversations (id, platform, workspace, channel, thread, starter, created_at)
            SELECT conversation, platform, workspace, channel, '', platform || ':' || min("user"), min(created_at)
            FROM jobs WHERE conversation <> '' GROUP BY conversation, platform, workspace, channel""",
        *(
            f"""INSERT INTO turns (id, conversation, job, role, "user", text, created_at)
            SELECT id || '{role[0]}', conversation, id, '{role}', {user}, 'Some words about ' || id, created_at
            FROM jobs WHERE conversation <> '' AND state = 'delivered'"""
            for role, user in (("user", "platform || ':' || \"user\""), ("assistant", "''"))
        ),
        f"""INSERT INTO page_messages (id, channel, "user", job, is_from_bot, reply, created_at, updated_at)
            SELECT 'm' || id, channel, "user", id, true, {reply}, created_at, created_at
            FROM jobs WHERE platform = 'web'""",
        f"""INSERT INTO audit (platform, workspace, actor, action, facts, at)
            SELECT platform, workspace, platform || ':' || workspace || ':' || "user", 'refused', {
            dialect.cast_json("'{}'")
        }, created_at FROM jobs WHERE state = 'failed'""",
    ]


def _build_accounts(dialect: Dialect, wallet: str, budget: str) -> list[str]:
    day, month = dialect.format_window("j.created_at", True), dialect.format_window("j.created_at", False)
    day_end, month_end = dialect.format_window_end(day, "day"), dialect.format_window_end(f"{month} || '-01'", "month")
    return [
        f"""INSERT INTO accounts (id, kind, scope, platform, workspace, "user", "window", expires_at)
            SELECT DISTINCT {wallet}, 'wallet', 'daily', j.platform, '', j."user", {day}, {day_end}
            FROM jobs AS j""",
        f"""INSERT INTO accounts (id, kind, scope, "window", expires_at)
            SELECT DISTINCT {budget}, 'budget', 'bot', {month}, {month_end} FROM jobs AS j""",
        f"""{_ENTRY} SELECT id, '', 'grant', CASE kind WHEN 'wallet' THEN {10**9} ELSE {10**15} END, 0,
            CASE kind WHEN 'wallet' THEN substr(id, 8) ELSE 'open:' || id END, 'policy',
            (SELECT min(created_at) FROM jobs) FROM accounts""",
    ]


def _build_ledger(wallet: str, budget: str) -> list[str]:
    actor = "j.platform || ':' || j.user_workspace || ':' || j.\"user\""
    holds = " UNION ALL ".join(
        f"""SELECT {account}, j.id, 'hold', 0, {COST_MICROS}, 'hold:' || j.id || ':' || {account}, {actor}, j.created_at
            FROM jobs AS j"""
        for account in (wallet, budget)
    )
    closes = " UNION ALL ".join(
        f"""SELECT {account}, j.id, CASE j.state WHEN 'delivered' THEN 'settle' ELSE 'release' END, -j.cost_micros,
            -{COST_MICROS}, 'close:' || j.id || ':' || {account}, 'bot', j.created_at
            FROM jobs AS j WHERE j.state <> 'running'"""
        for account in (wallet, budget)
    )
    return [
        # In the order of time, as the bot appends: holds and closes of neighbouring jobs lie side by side.
        f"{_ENTRY} SELECT * FROM ({holds} UNION ALL {closes}) AS entries ORDER BY 8, 2, 3",
        """UPDATE accounts SET balance_micros = s.balance, held_micros = s.held, granted_micros = s.granted,
            last_entry = s.last FROM (SELECT account, sum(balance_delta_micros) AS balance,
            sum(held_delta_micros) AS held, max(id) AS last,
            sum(CASE kind WHEN 'grant' THEN balance_delta_micros ELSE 0 END) AS granted
            FROM ledger GROUP BY account) AS s WHERE s.account = accounts.id""",
    ]


async def stop_autovacuum(database: Database) -> None:
    """Leave the choice of the statistics' time to the caller, on PostgreSQL. Other databases stay as they are."""
    async with database.write() as tx:
        connection = tx.statements._connection
        if connection.dialect.name == "postgresql":
            for table in metadata.tables:
                await connection.exec_driver_sql(f'ALTER TABLE "{table}" SET (autovacuum_enabled = off)')


async def analyze(database: Database, *, statistics_target: int = 100) -> None:
    """Collect fresh statistics of all tables. PostgreSQL samples 300 rows for each point of the target."""
    async with database.write() as tx:
        connection = tx.statements._connection
        if connection.dialect.name == "postgresql":
            await connection.exec_driver_sql(f"SET LOCAL default_statistics_target = {statistics_target}")
        await connection.exec_driver_sql("ANALYZE")


async def forget_statistics(database: Database) -> None:
    """Delete all statistics, as in a database that was never analyzed."""
    async with database.write() as tx:
        connection = tx.statements._connection
        if connection.dialect.name == "postgresql":
            await connection.exec_driver_sql("DELETE FROM pg_statistic WHERE starelid >= 16384")
            return
        for (name,) in await connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE name = 'sqlite_stat1'"):
            await connection.exec_driver_sql(f"DELETE FROM {name}")
            await connection.exec_driver_sql("ANALYZE sqlite_master")  # loads the statistics again: none
