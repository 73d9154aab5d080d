"""`python -m bot doctor`: what is missing or wrong, and what to do about it."""

import argparse
import asyncio
import os
import shutil
import sqlite3
import sys
from collections.abc import Sequence

from bot.app import App
from bot.cli import doctor_discord, doctor_slack
from bot.cli.findings import Check, Finding
from bot.core.errors import EaselError
from bot.settings import Settings, SettingsError, load_settings

WAL_RESET_FIXED = (3, 51, 3)
"""Older SQLite can corrupt a WAL that two connections reset at once; one writer avoids it (sqlite.org/wal.html)."""

ROOMY_BYTES = 1_000_000_000


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bot doctor", description=__doc__)
    parser.add_argument("--offline", action="store_true", help="ask nobody outside this machine")
    given = parser.parse_args(arguments)
    try:
        settings = load_settings()
    except SettingsError as error:
        findings = [
            Finding("fail", sentence, "Correct it in .env or the environment.") for sentence in str(error).split("\n")
        ]
    else:
        findings = asyncio.run(_examine(settings, [*LOCAL, *([] if given.offline else OUTSIDE)]))
    for finding in findings:
        print(f"{finding.status:4}  {finding.what}" + (f"\n      {finding.fix}" if finding.fix else ""))
    return 1 if any(finding.status == "fail" for finding in findings) else 0


async def _examine(settings: Settings, checks: Sequence[Check]) -> list[Finding]:
    return [finding for check in checks if (finding := await check(settings)) is not None]


async def _python(_: Settings) -> Finding:
    return Finding("ok", f"Python {sys.version.split()[0]}.")


async def _sqlite(settings: Settings) -> Finding:
    if not settings.database_address.startswith("sqlite"):
        return Finding("ok", "The database is PostgreSQL.")
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < WAL_RESET_FIXED:
        fix = "Fine for one process, which is all that SQLite is allowed here; keep backups."
        return Finding("warn", f"SQLite {version} has a known fault in its write-ahead log.", fix)
    return Finding("ok", f"SQLite {version}.")


async def _data_dir(settings: Settings) -> Finding:
    folder = settings.data_dir.resolve()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        return Finding(
            "fail", f"{settings.data_dir} cannot be written.", "Choose another DATA_DIR, or change its owner."
        )
    free = shutil.disk_usage(existing).free
    if free < ROOMY_BYTES:
        return Finding("warn", f"Only {free // 1_000_000} MB are free for {settings.data_dir}.", "Free some space.")
    return Finding("ok", f"{settings.data_dir} can be written; {free // ROOMY_BYTES} GB are free.")


async def _database(settings: Settings) -> Finding:
    app = App(settings)
    try:
        await app.database.open()
    except EaselError as error:
        return Finding("fail", str(error), "See docs/running.md, “The database”.")
    await app.database.close()
    return Finding("ok", "The database opens, and what guards the ledger is in place.")


async def _replicate(settings: Settings) -> Finding:
    if settings.replicate_api_token is None:
        fix = "Make one at replicate.com/account/api-tokens. `python3 run.py demo` needs none."
        return Finding("fail", "REPLICATE_API_TOKEN is missing.", fix)
    backend = App(settings).backends["replicate"]
    try:
        return Finding("ok", await backend.probe())
    except EaselError as error:
        return Finding("fail", f"Replicate: {error}", "Check REPLICATE_API_TOKEN, REPLICATE_BASE_URL and the network.")
    finally:
        await backend.close()


LOCAL: tuple[Check, ...] = (_python, _sqlite, _data_dir, _database, *doctor_slack.LOCAL)
OUTSIDE: tuple[Check, ...] = (_replicate, *doctor_discord.OUTSIDE, *doctor_slack.OUTSIDE)
