"""`python -m bot doctor`: checks settings, database, disk, Replicate and the platforms, and prints a fix per fault."""

import argparse
import asyncio
import os
import shlex
import shutil
import sqlite3
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp

from bot.app import App, make_discord_config
from bot.backend_registry import open_backends
from bot.catalogue.loading import BUILT_IN_PATH, CatalogueError, load_catalogue
from bot.cli.own_servers import is_local
from bot.cli.terminal import print_errors, print_text
from bot.commands import list_menu
from bot.core.backend import Backend, BackendConfig, BackendKind, ModelSource
from bot.core.clock import SystemClock
from bot.core.errors import BackendRefusedToken, EaselError, InputRefused, PredictionGone, UserError
from bot.core.models import Model
from bot.core.private_files import is_readable_by_others
from bot.settings import SECRET_FIELDS, Settings, SettingsError, load_configured_backends, load_settings
from bot.telemetry.logs import Redactor

if TYPE_CHECKING:
    from bot.platforms.discord.connection import ApplicationReport

# Older versions can corrupt a WAL if two connections reset the log at once (sqlite.org/wal.html).
FIRST_SQLITE_WITH_WAL_FIX = (3, 51, 3)

MIN_FREE_BYTES = 1_000_000_000

MAX_DAYS_UNREAD = 90
"""`quota verify` reads new rows; a row changed by hand is found only when the whole ledger is read."""

_BOT_PAGE = "the Bot page of your application at discord.com/developers/applications"
_SLACK_HINT = "See docs/slack.md, or `python -m bot slack manifest`."
_MAX_NAMED = 5


@dataclass(frozen=True, slots=True)
class DoctorFinding:
    """The result of a check: `ok`, `warn` or `fail`, a sentence, and the remedy."""

    status: str
    text: str
    fix: str = ""


DoctorCheck = Callable[[Settings], Awaitable[DoctorFinding | None]]
"""Returns None if the settings leave the checked part off."""


@print_errors
def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m bot doctor", description=__doc__)
    parser.add_argument("--offline", action="store_true", help="ask nobody outside this machine")
    options = parser.parse_args(arguments)
    redactor = Redactor()
    try:
        settings = load_settings()
        backend_checks = list_backend_checks(settings)
    except (CatalogueError, SettingsError) as error:
        fix = "Correct it in .env or the environment."
        if isinstance(error, CatalogueError):
            fix = "Correct the file that CATALOGUE_PATH names; see docs/models.md and docs/backends.md."
        findings = [DoctorFinding("fail", sentence, fix) for sentence in str(error).split("\n")]
    else:
        remote = [] if options.offline else [*REMOTE_CHECKS, *backend_checks]
        findings = asyncio.run(_run_checks(settings, [*LOCAL_CHECKS, *remote]))
        redactor = Redactor(settings.list_secrets())
    for finding in findings:
        line = f"{finding.status:4}  {finding.text}" + (f"\n      {finding.fix}" if finding.fix else "")
        print_text(redactor.redact_text(line))
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


async def _check_page(settings: Settings) -> DoctorFinding | None:
    # Whether anybody was invited stands in the database, which the running bot may hold.
    if settings.web_token is not None or settings.public_url:
        return None
    return DoctorFinding(
        "ok",
        "Until the first invitation the page is open to every program of this machine, without a key.",
        "Set WEB_TOKEN before you put a proxy in front: a proxy that adds no header looks like your own browser.",
    )


async def _check_database(settings: Settings) -> DoctorFinding:
    app = App(settings)
    try:
        await app.database.open()
    except EaselError as error:
        return DoctorFinding("fail", str(error), "See docs/running.md, “The database”.")
    try:
        async with app.database.read() as tx:
            checkpoint = await tx.checkpoints.get()
    finally:
        await app.database.close()
    text = "The database opens, and what guards the ledger is in place."
    if checkpoint is None or checkpoint.completed_at > app.clock.now() - timedelta(days=MAX_DAYS_UNREAD):
        return DoctorFinding("ok", text)
    text += f" The ledger was last read as a whole on {checkpoint.completed_at:%Y-%m-%d}."
    return DoctorFinding("warn", text, "Run: python -m bot quota verify --all")


def list_backend_checks(settings: Settings) -> list[DoctorCheck]:
    """Return a check for each table `[backends.NAME]`. Raise the error of a mistake in the catalogue file or a key."""
    configs = load_configured_backends(settings)
    models = load_catalogue(settings.catalogue_path or BUILT_IN_PATH)
    return [
        partial(_check_backend, config, [model for model in models if model.backend == config.name])
        for config in configs
    ]


async def _check_backend(config: BackendConfig, models: Sequence[Model], _: Settings) -> DoctorFinding:
    backend = open_backends([config], SystemClock(), None)[config.name]
    try:
        answer = await backend.probe()
        missing = [model.ref for model in models if not await _has_model(backend, model.ref)]
    except EaselError as error:
        return DoctorFinding("fail", str(error), _advise_on_backend(config, error))
    finally:
        await backend.close()
    if missing:
        text = f"{config.name} does not have {', '.join(missing[:_MAX_NAMED])}, which the catalogue names."
        return DoctorFinding("fail", text, f"Load it there, or see `python -m bot models add {config.name}`.")
    if config.key and config.url.startswith("http://") and not is_local(config.url):
        text = f"{answer} Its key travels without encryption."
        return DoctorFinding("warn", text, f"Use an https address as url in [backends.{config.name}].")
    return DoctorFinding("ok", answer)


async def _has_model(backend: Backend, ref: str) -> bool:
    """Return whether a server has a model; true for a server that does not tell."""
    if not isinstance(backend, ModelSource):
        return True
    try:
        await backend.get_schema(ref)
    except PredictionGone:
        return False
    return True


def _advise_on_backend(config: BackendConfig, error: EaselError) -> str:
    table = f"[backends.{config.name}]"
    if isinstance(error, BackendRefusedToken):
        return (
            f"Set {config.key_env}, or {config.key_env}_FILE, to a working key."
            if config.key_env
            else f'Put the key into a variable, and write key_env = "ITS_NAME" into {table}.'
        )
    if isinstance(error, InputRefused):
        hint = " A server with OpenAI's API often needs /v1." if config.kind is BackendKind.OPENAI else ""
        return f"Check url in {table}: {config.url} has no such route.{hint}"
    return f"Start the server, or correct url in {table}: {config.url} does not answer."


async def _check_replicate(settings: Settings) -> DoctorFinding | None:
    if settings.replicate_api_token is None and load_configured_backends(settings):
        return None
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


class _DiscordInspection:
    """Inspects the Discord application once for all checks: each inspection is a sign-in."""

    def __init__(self) -> None:
        self._result: tuple[Settings, ApplicationReport | UserError] | None = None

    async def get(self, settings: Settings) -> "ApplicationReport | UserError | None":
        """Return the report or the error of the inspection; None if Discord is off."""
        if settings.discord_token is None:
            return None
        if self._result is None or self._result[0] is not settings:
            # Imported here: the other verbs' checks save the memory and start-up time of discord.py.
            from bot.platforms.discord.connection import inspect_application

            try:
                menu = list_menu(has_public_page=settings.public_url is not None)
                self._result = (settings, await inspect_application(make_discord_config(settings), menu))
            except UserError as error:
                self._result = (settings, error)
        return self._result[1]


_inspection = _DiscordInspection()


async def _check_discord_token(settings: Settings) -> DoctorFinding | None:
    report = await _inspection.get(settings)
    if isinstance(report, UserError):
        return DoctorFinding(
            "fail", str(report), "See docs/discord.md. Check DISCORD_TOKEN, DISCORD_API_URL and the network."
        )
    if report is None:
        return None
    servers = "1 server" if report.server_count == 1 else f"{report.server_count} servers"
    return DoctorFinding("ok", f"Discord knows the bot as {report.name}, in {servers}.")


async def _check_intents(settings: Settings) -> DoctorFinding | None:
    report = await _inspection.get(settings)
    if report is None or isinstance(report, UserError):
        return None
    if not report.has_message_content_intent:
        text = "Message Content is off: in servers the bot reads only mentions, replies to it and commands."
        return DoctorFinding("warn", text, f"Switch it on on {_BOT_PAGE}, to talk in threads without mentions.")
    return DoctorFinding("ok", "Message Content is on: conversations go on in their threads without mentions.")


async def _check_endpoint(settings: Settings) -> DoctorFinding | None:
    report = await _inspection.get(settings)
    if report is None or isinstance(report, UserError) or not report.interactions_endpoint_url:
        return None
    text = f"Discord sends commands and buttons to {report.interactions_endpoint_url}, and not to the bot."
    return DoctorFinding("fail", text, "Empty the Interactions Endpoint URL on the General Information page.")


async def _check_commands(settings: Settings) -> DoctorFinding | None:
    report = await _inspection.get(settings)
    if report is None or isinstance(report, UserError):
        return None
    if report.outdated_commands:
        return DoctorFinding(
            "warn",
            f"Discord knows other commands: {_format_command_names(report.outdated_commands)}.",
            "The next start tells it.",
        )
    return DoctorFinding("ok", "Discord knows the commands.")


async def _check_permissions(settings: Settings) -> DoctorFinding | None:
    report = await _inspection.get(settings)
    if report is None or isinstance(report, UserError):
        return None
    if report.missing_permissions:
        servers = "; ".join(
            f"{name}: {', '.join(lacks)}" for name, lacks in list(report.missing_permissions.items())[:_MAX_NAMED]
        )
        return DoctorFinding(
            "warn", f"Permissions are missing in {servers}.", "Give them to the bot's role, or invite it again."
        )
    return DoctorFinding("ok", "The bot has every permission it needs, as far as roles say.")


async def _show_invite(settings: Settings) -> DoctorFinding | None:
    report = await _inspection.get(settings)
    if report is None or isinstance(report, UserError):
        return None
    return DoctorFinding("ok", f"Invite the bot with {report.invite_link}")


def _format_command_names(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _MAX_NAMED} more" if len(names) > _MAX_NAMED else ""
    return ", ".join(f"/{name}" for name in names[:_MAX_NAMED]) + more


async def _check_slack_transport(settings: Settings) -> DoctorFinding | None:
    if not _is_slack_on(settings):
        return None
    if settings.slack_app_token is not None:
        return DoctorFinding("ok", "Slack is heard by Socket Mode.")
    if settings.slack_signing_secret is None:
        fix = "Set SLACK_APP_TOKEN for Socket Mode, or SLACK_SIGNING_SECRET for HTTP."
        return DoctorFinding("fail", "Nothing says how Slack is heard.", fix)
    if settings.public_url is None:
        fix = "Set PUBLIC_URL to the address that Slack reaches, and put its /slack/events into the app's settings."
        return DoctorFinding("warn", "Slack is heard by HTTP, and PUBLIC_URL is empty.", fix)
    return DoctorFinding("ok", f"Slack is heard by HTTP at {settings.public_url}/slack/events.")


async def _check_slack_app_token(settings: Settings) -> DoctorFinding | None:
    # apps.connections.open is also the bot's own first call with this token.
    if settings.slack_app_token is None or not _is_slack_on(settings):
        return None
    error, _ = await _call_slack(settings, "apps.connections.open", settings.slack_app_token.get_secret_value())
    if error:
        return DoctorFinding(
            "fail", f"SLACK_APP_TOKEN: Slack says {error}.", f"It needs connections:write. {_SLACK_HINT}"
        )
    return DoctorFinding("ok", "SLACK_APP_TOKEN opens a socket.")


async def _check_slack_bot_token(settings: Settings) -> DoctorFinding | None:
    if settings.slack_bot_token is None:
        return None
    error, scopes = await _call_slack(settings, "auth.test", settings.slack_bot_token.get_secret_value())
    if error:
        return DoctorFinding("fail", f"SLACK_BOT_TOKEN: Slack says {error}.", _SLACK_HINT)
    from bot.platforms.slack.manifest import OPTIONAL_SCOPES, SCOPES  # slack-bolt is loaded only where Slack is used

    missing = sorted(set(SCOPES) - scopes)
    if missing:
        fix = f"Paste the manifest into the app's settings and install it again. {_SLACK_HINT}"
        return DoctorFinding("fail", f"The Slack app lacks {', '.join(missing)}.", fix)
    if lacking := [f"{scope}: {what}" for scope, what in OPTIONAL_SCOPES.items() if scope not in scopes]:
        fix = "To change that, grant the scope in the app's settings and install the app again."
        return DoctorFinding("warn", f"SLACK_BOT_TOKEN is good, without the optional {'; '.join(lacking)}.", fix)
    return DoctorFinding("ok", "SLACK_BOT_TOKEN is good, and has every scope of the manifest.")


async def _show_slack_events(settings: Settings) -> DoctorFinding | None:
    # No method of Slack's API lists an app's event subscriptions: name the needed events.
    if not _is_slack_on(settings):
        return None
    from bot.platforms.slack.manifest import EVENTS  # slack-bolt is loaded only where Slack is used

    return DoctorFinding("ok", f"Slack's events cannot be asked for. The app needs {', '.join(EVENTS)}.")


def _is_slack_on(settings: Settings) -> bool:
    return settings.slack_bot_token is not None or settings.slack_client_id is not None


async def _call_slack(settings: Settings, method: str, token: str) -> tuple[str, frozenset[str]]:
    """Return Slack's error, empty on success, and the token's scopes."""
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{settings.slack_api_url.rstrip('/')}/{method}"
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session,
            session.post(url, headers=headers) as response,
        ):
            body = await response.json(content_type=None)
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        return f"nothing ({type(error).__name__})", frozenset()
    if not isinstance(body, dict):
        return "nothing that can be read", frozenset()
    # Slack names the token's scopes in this header of every response (docs.slack.dev/authentication).
    scopes = response.headers.get("x-oauth-scopes", "")
    return "" if body.get("ok") else str(body.get("error")), frozenset(map(str.strip, scopes.split(",")))


DISCORD_REMOTE_CHECKS: tuple[DoctorCheck, ...] = (
    _check_discord_token,
    _check_intents,
    _check_endpoint,
    _check_commands,
    _check_permissions,
    _show_invite,
)
SLACK_LOCAL_CHECKS: tuple[DoctorCheck, ...] = (_check_slack_transport,)
SLACK_REMOTE_CHECKS: tuple[DoctorCheck, ...] = (_check_slack_app_token, _check_slack_bot_token, _show_slack_events)
LOCAL_CHECKS = (
    _check_python,
    _check_sqlite,
    _check_data_dir,
    _check_secret_files,
    _check_page,
    _check_database,
    *SLACK_LOCAL_CHECKS,
)
REMOTE_CHECKS = (_check_replicate, *DISCORD_REMOTE_CHECKS, *SLACK_REMOTE_CHECKS)
