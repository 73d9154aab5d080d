"""`python -m bot quota`: sets budgets and limits as the owner; `quota verify` checks the ledger.

Verbs and options are the same as of /quota in the chat: `python -m bot quota grant mia 50 --in discord:123`. On
PostgreSQL the bot may run meanwhile; on SQLite stop the bot first: SQLite lets no second process in.
"""

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from bot.app import App
from bot.cli.terminal import print_errors, print_text
from bot.core.errors import BadOption, UserError
from bot.core.ids import new_id
from bot.core.invocations import Invocation
from bot.core.people import Channel, Rank, User
from bot.core.replies import Reply
from bot.credits.ledger import verify_ledger
from bot.dispatch.forms import fill_form
from bot.dispatch.parsing import find_command, parse_command
from bot.settings import Settings, load_settings

DEFAULT_WORKSPACE = "web:page"


@print_errors
def main(arguments: Sequence[str]) -> int:
    options, words = _create_parser().parse_known_args(arguments)
    settings = load_settings()
    if options.verb == ["verify"] and words in ([], ["--all"]):
        return asyncio.run(_verify(settings, is_complete=bool(words)))
    command_line = _format_command_line([*options.verb, *words])
    return asyncio.run(_run_verb(settings, command_line, options.workspace, options.output))


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot quota",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("verb", nargs="+", help="verify [--all], or a verb of /quota with its options")
    parser.add_argument(
        "--in",
        dest="workspace",
        default=DEFAULT_WORKSPACE,
        metavar="PLATFORM:WORKSPACE",
        help=f"where ({DEFAULT_WORKSPACE})",
    )
    parser.add_argument("--output", "-o", type=Path, metavar="FILE", help="where export writes its file")
    return parser


async def _verify(settings: Settings, *, is_complete: bool) -> int:
    app = App(settings, backends={})
    await app.database.open()
    try:
        # All rows take some four seconds for each 100,000 jobs: each check is announced, beside the report of a script.
        report = await verify_ledger(
            app.database, app.clock.now(), lambda check: print_text(check, is_error=True), is_complete=is_complete
        )
    finally:
        await app.database.close()
    verdict = f"{len(report.discrepancies)} disagree" if report.discrepancies else "they agree"
    print_text("\n".join([*report.discrepancies, f"{report.compared}: {verdict}."]))
    if report.older:
        print_text(f"{report.older} `quota verify --all` reads them: only that finds an older row changed by hand.")
    return 1 if report.discrepancies else 0


async def _run_verb(settings: Settings, line: str, place: str, output: Path | None) -> int:
    """Run a verb of /quota in a workspace, and print the reply."""
    platform, _, workspace = place.partition(":")
    if not platform or not workspace:
        raise BadOption("--in names a platform and a workspace, as in discord:GUILD_ID.")
    app = App(settings, backends={})
    services = app.dispatcher.services
    call = parse_command(line, services.menu)
    # Access to this machine's settings and database makes the caller the owner.
    owner = User(platform, workspace, "owner", "the owner", is_owner=True)
    channel = Channel(platform, workspace, "")
    invocation = Invocation(owner, channel, call.command, f"cli:{new_id()}", call.options, rank=Rank.OWNER)
    form = fill_form(find_command(services.menu, call.command), invocation)
    await app.database.open()
    try:
        reply = await form.answer(invocation, services)
    finally:
        await app.database.close()
    _print_reply(reply or Reply(), output)
    return 0


def _print_reply(reply: Reply, output: Path | None) -> None:
    if not reply.files:
        print_text(reply.text.replace("**", "").replace("`", ""))  # a terminal shows no Markdown
    for file in reply.files:
        if output is None:
            print_text(file.text, end="")
            continue
        try:
            output.write_text(file.text, encoding="utf-8", newline="")
        except OSError as error:
            raise UserError(f"I cannot write {output}: {error.strerror}.") from error
        print_text(f"{reply.text} They are in {output}.")


def _format_command_line(words: Sequence[str]) -> str:
    # The chat's parser splits at spaces: quote each word with a space, as the shell's user did.
    return " ".join(["/quota", *(f'"{word}"' if any(sign.isspace() for sign in word) else word for word in words)])
