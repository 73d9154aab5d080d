"""`python -m bot web`: invites people to the page, lists and removes them. The bot may run meanwhile, or not."""

import argparse
import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from bot.cli.terminal import print_errors, print_text
from bot.core.clock import SystemClock
from bot.core.errors import DatabaseInUse, UserError
from bot.platforms.web.users import ADMIN_PATH, INVITATION_DAYS, KEY_FILE, WebUsers, run_admin_request
from bot.settings import Settings, load_settings
from bot.storage.database import Database

TIMEOUT_SECONDS = 10
_WILDCARD_HOSTS = ("0.0.0.0", "::")  # noqa: S104 - compared only


@print_errors
def main(arguments: Sequence[str]) -> int:
    options = _create_parser().parse_args(arguments)
    settings = load_settings()
    request = {"verb": options.verb, "name": getattr(options, "name", ""), "rank": getattr(options, "rank", "")}
    response, address = _administer(settings, request)
    if options.verb == "invite":
        print_text(f"{_make_base_url(settings, address)}/join#{response['secret']}")
        print_text(f"Send this link to {options.name}. It works once, within {INVITATION_DAYS} days.")
        if settings.web_token is None and not any(user["rank"] == "owner" for user in response["people"]):
            advice = "`python -m bot web invite NAME --owner`"
            print_text(f"The page now asks everybody for an invitation, you too: {advice}.")
    elif options.verb == "people":
        print_text("\n".join(_format_visitor(user) for user in response["people"]) or "Nobody is invited.")
    else:
        print_text(f"{options.name} is let in no more.")
        if not response["people"] and settings.web_token is None:
            print_text("Nobody is invited now, and the page stays closed: `python -m bot web invite NAME --owner`.")
    return 0


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot web", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    invite = verbs.add_parser("invite", help="make a link that lets somebody in")
    invite.add_argument("name", metavar="NAME")
    rank = invite.add_mutually_exclusive_group()
    rank.add_argument("--owner", dest="rank", action="store_const", const="owner", default="", help="may do everything")
    rank.add_argument(
        "--moderator", dest="rank", action="store_const", const="moderator", help="shares out credits, stops abuse"
    )
    verbs.add_parser("people", help="list who is invited")
    verbs.add_parser("remove", help="let somebody in no more").add_argument("name", metavar="NAME")
    return parser


def _administer(settings: Settings, request: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """Return the response, and the address of the running bot if the bot answered the request."""
    # SQLite lets no second process in: while the bot runs, the bot itself must do the work.
    try:
        return asyncio.run(_administer_in_database(settings, request)), ""
    except DatabaseInUse:
        return _administer_by_http(settings, request)


async def _administer_in_database(settings: Settings, request: Mapping[str, Any]) -> dict[str, Any]:
    database = Database(settings.database_address)
    await database.open()
    try:
        return dict(await run_admin_request(WebUsers(database, SystemClock()), request))
    finally:
        await database.close()


def _administer_by_http(settings: Settings, request: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    try:
        key = json.loads((settings.data_dir / KEY_FILE).read_text(encoding="utf-8"))
        # The bot may listen on a wildcard, which is not an address to connect to.
        address = key["address"].replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:").rstrip("/")
        headers = {"Authorization": f"Bearer {key['secret']}", "Content-Type": "application/json"}
        body = json.dumps(request).encode()
        http_request = urllib.request.Request(f"{address}{ADMIN_PATH}", body, headers)  # noqa: S310 - our own address
        with urllib.request.urlopen(http_request, timeout=TIMEOUT_SECONDS) as response:  # noqa: S310 - our own address
            return json.load(response), address
    except urllib.error.HTTPError as error:
        raise UserError(error.read().decode("utf-8", "replace")) from error
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            "The bot is running but cannot be asked: run this as the same user and with the same DATA_DIR, "
            "or stop the bot first."
        ) from error


def _make_base_url(settings: Settings, address: str) -> str:
    host = "127.0.0.1" if settings.http_host in _WILDCARD_HOSTS else settings.http_host
    return settings.public_url or address or f"http://{host}:{settings.http_port}"


def _format_visitor(visitor: Mapping[str, str]) -> str:
    since = f"since {visitor['joined'][:10]}" if visitor["joined"] else "invited, not here yet"
    return f"{visitor['name']:20}  {visitor['rank']:9}  {since}"
