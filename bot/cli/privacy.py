"""`python -m bot privacy`: exports or deletes a person's data, for requests by mail.

A person is PLATFORM:ID, such as discord:123 or web:mia, and slack:TEAM:ID on Slack. Without --now the verb writes down
a deletion, and the bot deletes the data and its own messages within the hour, or at the next start. On SQLite stop the
bot first: SQLite lets no second process in.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from bot.app import App
from bot.cli.terminal import print_errors, print_text
from bot.core.errors import BadOption, UserError
from bot.core.people import PersonKey, User
from bot.core.text import mend_text
from bot.jobs.deletion import PersonalData
from bot.settings import load_settings


@print_errors
def main(arguments: Sequence[str]) -> int:
    options = _create_parser().parse_args(arguments)
    person = parse_person(options.person)
    # No backends: no verb here makes a prediction, and none needs a token.
    app = App(load_settings(), backends={})
    print_text(asyncio.run(_run_verb(app, person, options)))
    return 0


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot privacy", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(dest="verb", required=True)
    export = verbs.add_parser("export", help="everything that is kept about somebody, as JSON")
    export.add_argument("person", metavar="PLATFORM:ID")
    export.add_argument("--output", "-o", type=Path, metavar="FILE", help="a file of a telling name here")
    delete = verbs.add_parser("delete", help="delete it")
    delete.add_argument("person", metavar="PLATFORM:ID")
    delete.add_argument("--now", action="store_true", help="at once, leaving what was posted on other platforms")
    return parser


def parse_person(text: str) -> PersonKey:
    """Parse PLATFORM:ID or slack:TEAM:ID. Raise `BadOption` for any other text."""
    match mend_text(text).split(":"):
        case ["slack", team, user] if team and user:
            return PersonKey("slack", team, user)
        case [platform, user] if platform in ("discord", "web", "console") and user:
            return PersonKey(platform, "", user)
    raise BadOption(f"“{text}” is nobody: a person is discord:ID, web:ID or slack:TEAM:ID.")


async def _run_verb(app: App, person: PersonKey, options: argparse.Namespace) -> str:
    await app.database.open()
    try:
        personal = app.jobs.personal_data
        if options.verb == "export":
            return await _export(personal, person, options.output)
        return await _delete(personal, person, is_now=options.now)
    finally:
        await app.database.close()


async def _export(personal: PersonalData, person: PersonKey, output: Path | None) -> str:
    path = output or Path(personal.name_export(person))
    try:
        with path.open("w", encoding="utf-8") as file:
            async for part in personal.stream_export(person):
                file.write(part)
    except OSError as error:
        raise UserError(f"I cannot write {path}: {error.strerror}.") from error
    return f"Everything that is kept about them is in {path}."


async def _delete(personal: PersonalData, person: PersonKey, *, is_now: bool) -> str:
    owner = User(person.platform, person.workspace, "owner", "the owner", is_owner=True)
    if not is_now:
        await personal.request_deletion(person, owner)
        return "Written down: the bot deletes it within the hour, or at its next start."
    if await personal.delete(person, owner):
        return "It is gone. What was posted on other platforms stays there."
    return "Jobs of theirs are not over yet. What was over is gone; the bot deletes the rest when it runs."
