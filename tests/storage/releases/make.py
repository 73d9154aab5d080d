"""Make the database of this release, as SQL text for both engines: `python -m tests.storage.releases.make`.

Run the script once for each release, before the release is tagged, and never for an older release: the files stand for
databases that people have. `test_upgrades.py` loads each file, upgrades the database and goes on with the bot.
"""

import asyncio
import re
import shutil
import sqlite3
import subprocess
import tempfile
import tomllib
from pathlib import Path

from bot.core.replies import Tone
from tests.bench import Bench
from tests.fakes.samples import OWNER
from tests.postgres import PostgresServer, find_binaries, run_server

FOLDER = Path(__file__).parent
ROOT = FOLDER.parents[2]


async def fill(folder: Path, database_url: str = "") -> None:
    """Leave a month of a small bot: pictures, a conversation, a failed job, grants, limits, settings, a block."""
    bench = await Bench.open(folder, database_url)
    await bench.say("/imagine a fox in the snow --seed 7 --count 2")
    await bench.say("/chat What is a rainbow?")
    bench.backend.will(error="CUDA out of memory")
    await bench.say("/imagine a wolf in the rain")
    for line in (
        "/quota grant ana 50",
        "/quota set ana --month 900",
        "/quota role set gold --day 300",
        "/settings general --time_zone Europe/Berlin --keep_days 7",
        "/settings prompt You are a patient teacher.",
        "/words add wolf",
    ):
        reply = await bench.say(line, by=OWNER)
        assert reply is not None
        assert reply.tone is not Tone.ERROR, reply.text
    await bench.close()


def write_sqlite(version: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(Path(folder)))
        connection = sqlite3.connect(Path(folder) / "easel.db")
        text = "\n".join(connection.iterdump())
        connection.close()
    write(f"{version}.sqlite.sql", text)


def write_postgresql(version: str, server: PostgresServer, binaries: Path) -> None:
    url = asyncio.run(server.create_database())
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(fill(Path(folder), url))
    pg_dump = shutil.which("pg_dump", path=str(binaries)) or "pg_dump"
    options = ["--inserts", "--no-owner", "--no-privileges", "--no-comments"]
    dump = subprocess.run([pg_dump, *options, url], check=True, capture_output=True, text=True).stdout
    # Newer versions of pg_dump write commands of psql and settings that older servers do not know.
    lines = [line for line in dump.splitlines() if not line.startswith(("\\", "--", "SET ")) and line]
    write(f"{version}.postgresql.sql", "\n".join(lines))


def write(name: str, text: str) -> None:
    # The scripted backend counts runs from 1: a later bot on this database must not make a run of the same id.
    (FOLDER / name).write_text(re.sub(r"'run(\d)'", r"'released-run\1'", text) + "\n", encoding="utf-8")


def main() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("A release needs a PostgreSQL server: apt-get install postgresql")
    write_sqlite(version)
    with run_server(binaries) as server:
        write_postgresql(version, server, binaries)


if __name__ == "__main__":
    main()
