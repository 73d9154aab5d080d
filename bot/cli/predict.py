"""`python -m bot predict`: runs a model at Replicate once, with files of this machine, and prints or writes the output.

The owner of the token pays; no credits and no limits of people are involved. Ctrl-C cancels the run.
"""

import argparse
import asyncio
import json
import mimetypes
from collections.abc import Sequence
from pathlib import Path

from bot.backends.http import make_data_url
from bot.backends.model_texts import extract_text
from bot.backends.predictions import CogPrediction, find_file_urls
from bot.backends.replicate.client import MAX_DATA_URL_BYTES, ReplicateClient
from bot.catalogue.running import MAX_FILES, list_run_fields
from bot.cli.account import run_with_client
from bot.cli.models import get_published_schema
from bot.cli.terminal import print_errors, print_text, sanitise_line
from bot.core.errors import BadOption, ModelFailed, UserError
from bot.core.file_types import HEAD_BYTES, detect_file_type
from bot.core.json import JSON
from bot.core.limits import MAX_OUTPUT_BYTES
from bot.core.models import FieldKind, SchemaField
from bot.dispatch.run_forms import find_field, find_missing, read_input
from bot.media.fetching import Fetcher
from bot.settings import Settings

_DEFAULT_SECONDS = 600
_POLL_SECONDS = 0.5
_MAX_LINE_CHARACTERS = 10_000
_FILE_KINDS = {FieldKind.FILE, FieldKind.FILES}


@print_errors
def main(arguments: Sequence[str]) -> int:
    options = _create_parser().parse_args(arguments)

    async def run_action(client: ReplicateClient, settings: Settings) -> str:
        ref, _, version = options.model.partition(":")
        schema = await get_published_schema(client, ref, version)
        inputs = await _read_inputs(client, list_run_fields(schema), options.input)
        target = ref if schema.is_official and not version else schema.version
        prediction = await _run(client, target, inputs, options.max_seconds)
        return await _take_output(prediction, settings, options.output)

    print_text(run_with_client(run_action))
    return 0


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bot predict", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", metavar="OWNER/NAME[:VERSION]")
    parser.add_argument(
        "-i",
        "--input",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an input, as `models show` lists them; image=@FILE sends a file, and once more the next of a list",
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="FILE", help="write the output there; several files get numbers"
    )
    parser.add_argument(
        "--max-seconds", type=int, default=_DEFAULT_SECONDS, help=f"end a longer run; {_DEFAULT_SECONDS} if none"
    )
    return parser


async def _read_inputs(client: ReplicateClient, fields: Sequence[SchemaField], pairs: Sequence[str]) -> dict[str, JSON]:
    """Return the values that the schema takes, files as addresses. Raise a `UserError` that names the input."""
    texts: dict[str, list[str]] = {}
    known = {field.name: field for field in fields}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals:
            raise BadOption(f"“{pair[:60]}” is no NAME=VALUE.")
        texts.setdefault(find_field(fields, name).name, []).append(text)
    for name, given in texts.items():
        most = MAX_FILES if FieldKind.FILES in known[name].kinds else 1
        if len(given) > most:
            raise BadOption(f"You gave {name} {len(given)} times, and the model takes {most}.")
    # Checked before the first upload, and all values before the run: a run costs money.
    values: dict[str, JSON] = {
        name: [*given] if known[name].kinds & _FILE_KINDS else read_input(known[name], given[0])
        for name, given in texts.items()
    }
    if missing := find_missing(fields, values):
        raise BadOption(f"The model needs {', '.join(missing)}: give -i {missing[0]}=…")
    for name in values.keys() & {field.name for field in fields if field.kinds & _FILE_KINDS}:
        urls: list[JSON] = [await _make_url(client, text) for text in texts[name]]
        values[name] = urls if FieldKind.FILES in known[name].kinds else urls[0]
    return {name: value for name, value in values.items() if value is not None}


async def _make_url(client: ReplicateClient, text: str) -> str:
    """Return a link as given, and the address of an uploaded file for `@FILE`."""
    if not text.startswith("@"):
        return text
    path = Path(text[1:])
    content = await asyncio.to_thread(path.read_bytes)
    found = detect_file_type(content[:HEAD_BYTES])
    mime = found.mime if found else mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    if len(content) <= MAX_DATA_URL_BYTES:
        return make_data_url(content, mime)
    return await client.upload_file(path.name, content, mime)


async def _run(client: ReplicateClient, target: str, inputs: dict[str, JSON], max_seconds: int) -> CogPrediction:
    """Return the ended run. Raise `ModelFailed` for a run without success."""
    run = await client.create_prediction(target, inputs, cancel_after_seconds=max_seconds)
    try:
        while not run.state.is_final:
            await asyncio.sleep(_POLL_SECONDS)
            run = await client.get_prediction(run.id)
    except asyncio.CancelledError:
        await client.cancel_prediction(run.id)
        raise
    if run.state != "succeeded":
        reason = sanitise_line(run.error, max_characters=600) or "it says nothing more"
        raise ModelFailed(f"The run {run.id} is {run.state}: {reason}.")
    return run


async def _take_output(run: CogPrediction, settings: Settings, output: Path | None) -> str:
    """Return the output as text, or write the output and return the names of the files."""
    urls = list(find_file_urls(run.output))
    if not urls:
        text = json.dumps(run.output, ensure_ascii=False, indent=2)
        text = extract_text(run.output) if isinstance(run.output, str | list) else text
        if output is not None:
            return _write(output, text.encode())
        # Models are strangers: no control characters reach the terminal.
        lines = [sanitise_line(line, max_characters=_MAX_LINE_CHARACTERS) for line in text.splitlines()]
        return "\n".join(lines)
    if output is None:
        lines = [sanitise_line(url, max_characters=_MAX_LINE_CHARACTERS) for url in urls]
        return "\n".join([*lines, "Replicate keeps the files for an hour; --output writes them."])
    fetcher = Fetcher((settings.replicate_base_url,))
    try:
        contents = [(await fetcher.fetch(url, max_bytes=MAX_OUTPUT_BYTES, is_trusted=True)).data for url in urls]
    finally:
        await fetcher.close()
    return "\n".join(_write(_number(output, n, len(urls)), content) for n, content in enumerate(contents, 1))


def _number(path: Path, n: int, count: int) -> Path:
    return path if count == 1 else path.with_stem(f"{path.stem}-{n}")


def _write(path: Path, content: bytes) -> str:
    found = detect_file_type(content[:HEAD_BYTES])
    # A name without an ending gets the ending of the file's bytes.
    path = path if path.suffix or found is None else path.with_suffix(f".{found.extension}")
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UserError(f"I cannot write {path}: {error.strerror}.") from error
    return str(path)
