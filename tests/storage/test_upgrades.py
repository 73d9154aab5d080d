"""Databases of each earlier release open in this version, keep their rows, and serve the bot."""

import sqlite3
from pathlib import Path

import asyncpg
import pytest

from bot.credits.ledger import verify_ledger
from bot.storage import schema
from tests.bench import Bench
from tests.fakes.samples import ANA, OWNER
from tests.storage.raw import execute

RELEASES = Path(__file__).parent / "releases"
FILES = sorted(path.name for path in RELEASES.glob("*.sql"))


@pytest.fixture(
    params=[pytest.param(name, marks=pytest.mark.postgres if "postgresql" in name else ()) for name in FILES]
)
async def released_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with the rows of a release: the SQL text of the release, loaded by the engine itself."""
    text = (RELEASES / request.param).read_text(encoding="utf-8")
    if "sqlite" in request.param:
        path = tmp_path / "released.db"
        connection = sqlite3.connect(path)
        connection.executescript(text)
        connection.close()
        return f"sqlite:///{path.as_posix()}"
    url: str = await request.getfixturevalue("postgres_server").create_database()
    server = await asyncpg.connect(url)
    await server.execute(text)
    await server.close()
    return url


def test_the_first_release_is_kept_for_both_engines() -> None:
    assert {"0.1.0.sqlite.sql", "0.1.0.postgresql.sql"} <= set(FILES)


async def test_a_database_of_a_release_is_upgraded_and_goes_on(released_url: str, tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, released_url)
    database = bench.app.database

    report = await verify_ledger(database, bench.clock.now())
    revisions = await execute(database, "SELECT version_num FROM alembic_version")
    prompts = [job.options.get("prompt") for job in await bench.app.jobs.list_recent(ANA)]
    settings = await bench.say("/settings show", by=OWNER)
    refused = await bench.say("/imagine another wolf")
    drawn = await bench.say("/imagine a fox in the rain", key="web:after the upgrade")
    after = await verify_ledger(database, bench.clock.now())
    await bench.close()

    assert report.discrepancies == ()
    assert revisions == [(schema.list_revisions()[-1],)]
    assert {"a fox in the snow", "a wolf in the rain"} <= set(prompts)
    assert settings is not None
    assert "Europe/Berlin" in settings.text
    assert refused is not None
    assert "not wanted here" in refused.text
    assert drawn is None
    assert bench.last_message.reply.pictures
    assert after.discrepancies == ()
