"""`python -m bot trainings`: trains models of your own. Replicate bills you, outside the bot's budget."""

import argparse
import asyncio
import json
import mimetypes
from collections.abc import Sequence
from pathlib import Path

from bot.backends.replicate.client import ReplicateClient
from bot.backends.replicate.models import ReplicateTraining
from bot.cli.account import qualify_name, run_with_client
from bot.cli.terminal import format_columns, print_errors, print_text, sanitise_line
from bot.core.errors import InputRefused, PredictionGone
from bot.core.json import JSON
from bot.core.models import FieldKind, SchemaField
from bot.settings import Settings

_MAX_TRAININGS = 50
_LOG_LINES = 10


@print_errors
def main(arguments: Sequence[str]) -> int:
    options = _create_parser().parse_args(arguments)
    action = {"list": _list, "create": _create, "get": _get, "cancel": _cancel}[options.what]

    async def run_action(client: ReplicateClient, _: Settings) -> str:
        try:
            return await action(client, options)
        except PredictionGone as error:
            raise InputRefused("Replicate shows this token no such training, model, version or destination.") from error

    print_text(run_with_client(run_action))
    return 0


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot trainings", description=__doc__)
    verbs = parser.add_subparsers(dest="what", required=True)
    verbs.add_parser("list", help=f"your latest {_MAX_TRAININGS}")
    creating = verbs.add_parser("create", help="begin one")
    creating.add_argument(
        "model", metavar="OWNER/NAME[:VERSION]", help="what to begin from; the newest version if none"
    )
    creating.add_argument("--destination", required=True, metavar="[OWNER/]NAME", help="an existing model of yours")
    creating.add_argument(
        "--input", action="append", default=[], metavar="NAME=VALUE", help="repeat it; NAME=@FILE uploads a file"
    )
    for verb, text in (("get", "how one is, and what it made"), ("cancel", "stop one")):
        verbs.add_parser(verb, help=text).add_argument("id", metavar="ID")
    return parser


async def _list(client: ReplicateClient, _: argparse.Namespace) -> str:
    rows = []
    async for training in client.trainings.list():
        run = training.run
        rows.append((run.id, str(run.state), f"{run.created_at:%Y-%m-%d %H:%M}" if run.created_at else "", run.model))
        if len(rows) == _MAX_TRAININGS:
            break
    return format_columns(rows) if rows else "There are no trainings."


async def _create(client: ReplicateClient, options: argparse.Namespace) -> str:
    model, _, version = options.model.partition(":")
    version = version or await _get_newest_version(client, model)
    fields = await client.models.get_training_fields(model, version)
    if fields is None:
        raise InputRefused(f"{model}:{version} says nothing of training, so it cannot be trained.")
    pairs = [_parse_input(text, fields) for text in options.input]
    named = {field.name for field, _ in pairs}
    if missing := [field.name for field in fields if field.is_required and field.name not in named]:
        raise InputRefused(f"The training needs {', '.join(missing)}: give each with --input NAME=VALUE.")
    inputs = {field.name: await _parse_value(client, field, text) for field, text in pairs}
    destination = await qualify_name(client, options.destination)
    training = await client.trainings.create(model, version, destination, inputs)
    return f"{_format_training(training)}\nReplicate bills it to you; the bot's budget does not know of it."


async def _get(client: ReplicateClient, options: argparse.Namespace) -> str:
    return _format_training(await client.trainings.get(options.id))


async def _cancel(client: ReplicateClient, options: argparse.Namespace) -> str:
    return _format_training(await client.trainings.cancel(options.id))


def _parse_input(text: str, fields: Sequence[SchemaField]) -> tuple[SchemaField, str]:
    """Return the field and the text of the value, from `steps=10`."""
    name, equals, value = text.partition("=")
    field = next((field for field in fields if field.name == name), None)
    if not equals or field is None:
        raise InputRefused(f"--input {text}: give NAME=VALUE, with one of {', '.join(field.name for field in fields)}.")
    return field, value


async def _parse_value(client: ReplicateClient, field: SchemaField, text: str) -> JSON:
    """Return the value in the field's kind. Upload a local file, and return the file's URL."""
    if FieldKind.FILE in field.kinds and text.startswith("@"):
        path = Path(text[1:])
        content = await asyncio.to_thread(path.read_bytes)
        mime = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        return await client.upload_file(path.name, content, mime)
    if field.kinds & {FieldKind.TEXT, FieldKind.FILE}:
        return text
    try:
        value: JSON = json.loads(text)
    except ValueError as error:
        raise InputRefused(f"{field.name} takes a {' or a '.join(sorted(field.kinds))}, not “{text}”.") from error
    return value


async def _get_newest_version(client: ReplicateClient, ref: str) -> str:
    newest = (await client.models.get(ref)).newest_version
    if newest is None:
        raise InputRefused(f"{ref} has no version to begin from.")
    return newest.id


def _format_training(training: ReplicateTraining) -> str:
    run = training.run
    lines = [f"{run.id} {run.state}: {run.model}"]
    if training.version:
        lines.append(f"made {training.version}")
    if training.weights_url:
        lines.append(f"weights, for an hour: {training.weights_url}")
    if run.error:
        lines.append(f"error: {sanitise_line(run.error, max_characters=500)}")
    # Progress bars redraw a line with carriage returns: show each state as a line.
    log = [sanitise_line(line) for line in run.logs.replace("\r", "\n").splitlines() if line.strip()]
    return "\n".join([*lines, *(f"  {line}" for line in log[-_LOG_LINES:])])
