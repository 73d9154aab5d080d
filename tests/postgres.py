"""Starts a PostgreSQL server for the suite, from the system's binaries, in a temporary folder."""

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncpg

from tests.ports import find_free_port

MAX_START_SECONDS = 30
_CLOSE_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()"""
DEBIAN_POSTGRES_FOLDER = "/usr/lib/postgresql"


def find_binaries() -> Path | None:
    """Return the folder of `initdb` and `postgres`: from PATH, else Debian's newest, else None."""
    if on_path := shutil.which("initdb"):
        return Path(on_path).resolve().parent
    installed = [path.parent for path in Path(DEBIAN_POSTGRES_FOLDER).glob("*/bin/initdb")]
    return max(installed, key=lambda folder: int(folder.parent.name), default=None)


class PostgresServer:
    """A running server on a loopback port. New databases are copies of `template` by default."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.template = "template1"
        self._numbers = itertools.count(1)

    def url(self, database: str) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    async def create_database(self, name: str = "", template: str = "") -> str:
        """Copy `template` and return the copy's URL. PostgreSQL refuses a template with open connections."""
        name = name or f"test_{next(self._numbers)}"
        copying = f'CREATE DATABASE "{name}" TEMPLATE "{template or self.template}"'
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            # From version 15 the default logs every page: five times slower here, without any use.
            has_choice = connection.get_server_version() >= (15,)
            await connection.execute(f"{copying} STRATEGY FILE_COPY" if has_choice else copying)
        finally:
            await connection.close()
        return self.url(name)

    async def delete_rows(self, name: str) -> None:
        """Delete all rows, also rows protected by triggers, and close connections of earlier tests."""
        connection = await asyncpg.connect(self.url(name))
        try:
            await connection.execute(_CLOSE_OTHERS)
            await connection.execute("SET session_replication_role = replica")  # no triggers, no foreign keys
            names = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            tables = [row["tablename"] for row in names if row["tablename"] != "alembic_version"]
            await connection.execute(";".join(f'DELETE FROM "{table}"' for table in tables))  # noqa: S608 - its own names
        finally:
            await connection.close()

    async def drop_database(self, url: str) -> None:
        """Drop a database and close all connections to the database."""
        await self._run(f'DROP DATABASE "{url.rpartition("/")[2]}" WITH (FORCE)')

    async def _run(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url("postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


@contextmanager
def run_server(binaries: Path) -> Iterator[PostgresServer]:
    """Run a server with default settings, but without fsync. Raise `RuntimeError` with the log if the start fails."""
    folder = Path(tempfile.mkdtemp(prefix="easel-postgres-"))
    data, log, port = folder / "data", folder / "log", find_free_port()
    person: dict[str, Any] = {"cwd": folder} | choose_unprivileged_user(folder)
    initdb: list[str | Path] = [
        binaries / "initdb",
        "-D",
        data,
        "-U",
        "postgres",
        "-A",
        "trust",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
    postgres: list[str | Path] = [
        binaries / "postgres",
        "-D",
        data,
        *(f"--{name}={value}" for name, value in options.items()),
    ]
    try:
        subprocess.run(initdb, check=True, capture_output=True, text=True, **person)
        with log.open("wb") as output:
            process = subprocess.Popen(postgres, stdout=output, stderr=output, **person)
        try:
            wait_until_ready(binaries, port, process, log)
            yield PostgresServer(port)
        finally:
            stop_process(process)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(f"initdb failed: {error.stderr}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def choose_unprivileged_user(folder: Path) -> dict[str, Any]:
    """Return Popen options for another user than root: PostgreSQL refuses root, and needs an own folder."""
    if sys.platform == "win32" or os.geteuid() != 0:
        return {}
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    person = pwd.getpwnam("postgres" if "postgres" in known else "nobody")
    os.chown(folder, person.pw_uid, person.pw_gid)
    return {"user": person.pw_uid, "group": person.pw_gid, "extra_groups": []}


def wait_until_ready(binaries: Path, port: int, process: "subprocess.Popen[bytes]", log: Path) -> None:
    asking: list[str | Path] = [binaries / "pg_isready", "--quiet", "--host=127.0.0.1", f"--port={port}"]
    deadline = time.monotonic() + MAX_START_SECONDS
    while subprocess.run(asking, check=False).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}")
        time.sleep(0.05)


def stop_process(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(2)  # SIGINT: close connections and stop
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
