"""`python -m bot web`: who may use the page. Works while the bot runs, and before its first start."""

import argparse
import asyncio
import json
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any

from bot.cli.terminal import print_errors
from bot.core.clock import SystemClock
from bot.core.errors import DatabaseInUse, UserError
from bot.platforms.web.users import ADMIN_PATH, INVITATION_DAYS, KEY_FILE, WebUsers, run_admin_request
from bot.settings import Settings, load_settings
from bot.storage.database import Database

TIMEOUT_SECONDS = 10
_ANYWHERE = ("0.0.0.0", "::")  # noqa: S104 - compared only


@print_errors
def main(arguments: Sequence[str]) -> int:
    given = _parser().parse_args(arguments)
    settings = load_settings()
    wish = {"verb": given.verb, "name": getattr(given, "name", ""), "rank": getattr(given, "rank", "")}
    answer, address = _administer(settings, wish)
    if given.verb == "invite":
        print(f"{_make_base_url(settings, address)}/join#{answer['secret']}")
        print(f"Send this link to {given.name}. It works once, within {INVITATION_DAYS} days.")
        if settings.web_token is None and not any(who["rank"] == "owner" for who in answer["people"]):
            print("The page now asks everybody for an invitation, you too: `python -m bot web invite NAME --owner`.")
    elif given.verb == "people":
        print("\n".join(_format_visitor(who) for who in answer["people"]) or "Nobody is invited.")
    else:
        print(f"{given.name} is let in no more.")
    return 0


def _parser() -> argparse.ArgumentParser:
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


def _administer(settings: Settings, wish: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The answer, and the running bot's address where it was asked: SQLite lets no second process in."""
    try:
        return asyncio.run(_administer_in_database(settings, wish)), ""
    except DatabaseInUse:
        return _administer_by_http(settings, wish)


async def _administer_in_database(settings: Settings, wish: Mapping[str, Any]) -> dict[str, Any]:
    database = Database(settings.database_address)
    await database.open()
    try:
        return dict(await run_admin_request(WebUsers(database, SystemClock()), wish))
    finally:
        await database.close()


def _administer_by_http(settings: Settings, wish: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    try:
        key = json.loads((settings.data_dir / KEY_FILE).read_text(encoding="utf-8"))
        # Names every address of this machine, which none can be asked by.
        address = key["address"].replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:").rstrip("/")
        headers = {"Authorization": f"Bearer {key['secret']}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{address}{ADMIN_PATH}", json.dumps(wish).encode(), headers)  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - our own address
            return json.load(answer), address
    except urllib.error.HTTPError as error:
        raise UserError(error.read().decode("utf-8", "replace")) from error
    except (OSError, ValueError, KeyError) as error:
        raise UserError(
            "The bot is running but cannot be asked: run this as the same user and with the same DATA_DIR, "
            "or stop the bot first."
        ) from error


def _make_base_url(settings: Settings, address: str) -> str:
    host = "127.0.0.1" if settings.http_host in _ANYWHERE else settings.http_host
    return settings.public_url or address or f"http://{host}:{settings.http_port}"


def _format_visitor(visitor: Mapping[str, str]) -> str:
    since = f"since {visitor['joined'][:10]}" if visitor["joined"] else "invited, not here yet"
    return f"{visitor['name']:20}  {visitor['rank']:9}  {since}"
