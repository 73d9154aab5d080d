"""`python -m bot predictions`: lists, shows and cancels runs at Replicate, also those of other programs."""

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from bot.backends.predictions import CogPrediction
from bot.backends.replicate.client import ReplicateClient
from bot.cli.account import run_with_client
from bot.cli.terminal import format_columns, print_errors, print_text, sanitise_line
from bot.core.errors import InputRefused, PredictionGone
from bot.settings import Settings

_DEFAULT_HOURS = 24
_MAX_SHOWN_CHARACTERS = 2_000


@print_errors
def main(arguments: Sequence[str]) -> int:
    options = _create_parser().parse_args(arguments)
    action = {"list": _list, "show": _show, "cancel": _cancel}[options.what]

    async def run_action(client: ReplicateClient, _: Settings) -> str:
        try:
            return await action(client, options)
        except PredictionGone as error:
            raise InputRefused(f"Replicate shows this token no prediction {options.id}.") from error

    print_text(run_with_client(run_action))
    return 0


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot predictions", description=__doc__)
    verbs = parser.add_subparsers(dest="what", required=True)
    listing = verbs.add_parser("list", help="the latest, newest first")
    listing.add_argument("--hours", type=int, default=_DEFAULT_HOURS, help=f"how far back; {_DEFAULT_HOURS} if none")
    listing.add_argument("--limit", type=int, default=50, help="at most so many")
    for verb, text in (("show", "inputs, output, error and last lines of the log"), ("cancel", "stop one")):
        verbs.add_parser(verb, help=text).add_argument("id", metavar="ID")
    return parser


async def _list(client: ReplicateClient, options: argparse.Namespace) -> str:
    since = datetime.now(UTC) - timedelta(hours=options.hours)
    rows: list[Sequence[str]] = []
    cursor = ""
    while len(rows) < options.limit:
        page, cursor = await client.list_predictions(created_after=since, cursor=cursor)
        rows += [_format_row(run) for run in page]
        if not cursor:
            break
    return format_columns(rows[: options.limit]) if rows else f"No predictions in the last {options.hours} hours."


def _format_row(run: CogPrediction) -> tuple[str, str, str, str, str]:
    seconds = run.metrics.get("predict_time")
    return (
        run.id,
        str(run.state),
        f"{run.created_at:%Y-%m-%d %H:%M}" if run.created_at else "",
        f"{seconds:.1f} s" if isinstance(seconds, int | float) else "",
        sanitise_line(run.model or run.version),
    )


async def _show(client: ReplicateClient, options: argparse.Namespace) -> str:
    run = await client.get_prediction(options.id)
    facts = {"input": dict(run.input), "output": run.output, "metrics": dict(run.metrics)}
    # Inputs and outputs are strangers' words: no control characters reach the terminal.
    lines = ["  ".join(_format_row(run))]
    for name, value in facts.items():
        text = json.dumps(value, ensure_ascii=False)
        lines.append(f"{name}: {sanitise_line(text, max_characters=_MAX_SHOWN_CHARACTERS)}")
    if run.error:
        lines.append(f"error: {sanitise_line(run.error, max_characters=_MAX_SHOWN_CHARACTERS)}")
    log = [sanitise_line(line) for line in run.logs.replace("\r", "\n").splitlines() if line.strip()]
    return "\n".join([*lines, *(f"  {line}" for line in log[-10:])])


async def _cancel(client: ReplicateClient, options: argparse.Namespace) -> str:
    await client.cancel_prediction(options.id)
    return "  ".join(_format_row(await client.get_prediction(options.id)))
