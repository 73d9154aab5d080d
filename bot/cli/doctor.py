"""`python -m bot doctor`: checks settings, database, disk, Replicate and the platforms, and prints a fix per fault."""

import argparse
import asyncio
import os
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Sequence
from pathlib import Path

from bot.app import App
from bot.cli import doctor_platforms
from bot.cli.doctor_platforms import DoctorCheck, DoctorFinding
from bot.cli.terminal import print_errors
from bot.core.errors import EaselError
from bot.core.private_files import is_readable_by_others
from bot.settings import SECRET_FIELDS, Settings, SettingsError, load_settings
from bot.telemetry.redaction import Redactor

# Older versions can corrupt a WAL if two connections reset the log at once (sqlite.org/wal.html).
FIRST_SQLITE_WITH_WAL_FIX = (3, 51, 3)

MIN_FREE_BYTES = 1_000_000_000


@print_errors
def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bot doctor", description=__doc__)
    parser.add_argument("--offline", action="store_true", help="ask nobody outside this machine")
    options = parser.parse_args(arguments)
    redactor = Redactor()
    try:
        settings = load_settings()
    except SettingsError as error:
        findings = [
            DoctorFinding("fail", sentence, "Correct it in .env or the environment.")
            for sentence in str(error).split("\n")
        ]
    else:
        findings = asyncio.run(_run_checks(settings, [*LOCAL_CHECKS, *([] if options.offline else REMOTE_CHECKS)]))
        redactor = Redactor(settings.list_secrets())
    for finding in findings:
        line = f"{finding.status:4}  {finding.text}" + (f"\n      {finding.fix}" if finding.fix else "")
        print(redactor.redact_text(line))
    return 1 if any(finding.status == "fail" for finding in findings) else 0


async def _run_checks(settings: Settings, checks: Sequence[DoctorCheck]) -> list[DoctorFinding]:
    return [finding for check in checks if (finding := await check(settings)) is not None]


async def _check_python(_: Settings) -> DoctorFinding:
    return DoctorFinding("ok", f"Python {sys.version.split()[0]}.")


async def _check_sqlite(settings: Settings) -> DoctorFinding:
    if not settings.database_address.startswith("sqlite"):
        return DoctorFinding("ok", "The database is PostgreSQL.")
    version = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < FIRST_SQLITE_WITH_WAL_FIX:
        fix = "Fine for one process, which is all that SQLite is allowed here; keep backups."
        return DoctorFinding("warn", f"SQLite {version} has a known fault in its write-ahead log.", fix)
    return DoctorFinding("ok", f"SQLite {version}.")


async def _check_data_dir(settings: Settings) -> DoctorFinding:
    folder = settings.data_dir.resolve()
    # The first start creates the folder: until then, look at the nearest folder above.
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not os.access(existing, os.W_OK):
        return DoctorFinding(
            "fail", f"{settings.data_dir} cannot be written.", "Choose another DATA_DIR, or change its owner."
        )
    free = shutil.disk_usage(existing).free
    if free < MIN_FREE_BYTES:
        return DoctorFinding(
            "warn", f"Only {free // 1_000_000} MB are free for {settings.data_dir}.", "Free some space."
        )
    return DoctorFinding("ok", f"{settings.data_dir} can be written; {free // MIN_FREE_BYTES} GB are free.")


async def _check_secret_files(_: Settings) -> DoctorFinding | None:
    # Files of another owner, such as a container's /run/secrets, are that owner's to guard.
    named = [os.environ.get(f"{name.upper()}_FILE") for name in SECRET_FIELDS]
    files = [Path(".env"), *(Path(name) for name in named if name)]
    readable = [file for file in files if is_readable_by_others(file) and file.stat().st_uid == os.geteuid()]
    if not readable:
        return None
    names = " and ".join(map(str, readable))
    holds = "which holds" if len(readable) == 1 else "which hold"
    fix = f"Run: chmod 600 {shlex.join(map(str, readable))}"
    return DoctorFinding("warn", f"Other users of this machine can read {names}, {holds} your secrets.", fix)


async def _check_database(settings: Settings) -> DoctorFinding:
    app = App(settings)
    try:
        await app.database.open()
    except EaselError as error:
        return DoctorFinding("fail", str(error), "See docs/running.md, “The database”.")
    await app.database.close()
    return DoctorFinding("ok", "The database opens, and what guards the ledger is in place.")


async def _check_replicate(settings: Settings) -> DoctorFinding:
    if settings.replicate_api_token is None:
        fix = "Make one at replicate.com/account/api-tokens. `python3 run.py demo` needs none."
        return DoctorFinding("fail", "REPLICATE_API_TOKEN is missing.", fix)
    backend = App(settings).backends["replicate"]
    try:
        return DoctorFinding("ok", await backend.probe())
    except EaselError as error:
        return DoctorFinding(
            "fail", f"Replicate: {error}", "Check REPLICATE_API_TOKEN, REPLICATE_BASE_URL and the network."
        )
    finally:
        await backend.close()


LOCAL_CHECKS: tuple[DoctorCheck, ...] = (
    _check_python,
    _check_sqlite,
    _check_data_dir,
    _check_secret_files,
    _check_database,
    *doctor_platforms.SLACK_LOCAL_CHECKS,
)
REMOTE_CHECKS: tuple[DoctorCheck, ...] = (
    _check_replicate,
    *doctor_platforms.DISCORD_REMOTE_CHECKS,
    *doctor_platforms.SLACK_REMOTE_CHECKS,
)
