"""`python -m bot models`: the catalogue with its prices, checked against what the models publish, and added to."""

import argparse
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from bot.backends.replicate.client import ReplicateClient
from bot.catalogue.checking import Finding, check
from bot.catalogue.drafting import Draft, draft
from bot.catalogue.loading import BUILT_IN, load
from bot.catalogue.writing import append
from bot.cli.columns import columns, harmless
from bot.cli.failing import in_sentences
from bot.cli.replicate import ask
from bot.core.errors import InputRefused, PredictionGone
from bot.core.models import Model, Price, PriceUnit, Task
from bot.core.published import Published
from bot.settings import Settings, SettingsError, load_settings

_USD = 1_000_000


@in_sentences
def main(arguments: Sequence[str]) -> int:
    given = _parser().parse_args(arguments)
    if given.what == "list":
        return _list()
    if given.what == "check":
        return _check(given.keys)
    if given.what == "search":
        return _search(" ".join(given.words), given.limit)
    return _add(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot models", description=__doc__)
    verbs = parser.add_subparsers(dest="what", required=True)
    verbs.add_parser("list", help="the catalogue with its prices; asks nobody")
    checking = verbs.add_parser("check", help="compare the catalogue with what the models publish")
    checking.add_argument("keys", nargs="*", metavar="KEY", help="only these entries")
    searching = verbs.add_parser("search", help="find models at Replicate")
    searching.add_argument("words", nargs="+", metavar="WORD")
    searching.add_argument("--limit", type=int, default=10, help="at most so many, up to 50")
    adding = verbs.add_parser("add", help="draft a catalogue entry for a model")
    adding.add_argument("ref", metavar="OWNER/NAME", help="with :VERSION for another than the newest")
    adding.add_argument("--task", type=Task, choices=list(Task), help="what it is for; guessed when not given")
    adding.add_argument("--key", default="", help="our name for it; the model's own when not given")
    adding.add_argument("--write", action="store_true", help="append it to the file that CATALOGUE_PATH names")
    return parser


def _list() -> int:
    models = load(load_settings().catalogue_path or BUILT_IN)
    rows = [(model.key, f"/{model.task}", price_told(model.price), _where(model)) for model in models]
    print(columns(rows))
    return 0


def price_told(price: Price) -> str:
    """A price in dollars, in the unit it is billed by."""
    if price.unit is PriceUnit.IMAGE:
        return f"${price.micros_per_image / _USD:g} a picture"
    if price.unit is PriceUnit.SECOND:
        return f"${price.micros_per_second / _USD:g} a second"
    if price.unit is PriceUnit.TOKEN:
        read, written = price.micros_per_million_tokens_in, price.micros_per_million_tokens_out
        return f"${read / _USD:g} read, ${written / _USD:g} written, a million tokens"
    return "free"


def _where(model: Model) -> str:
    if model.deployment:
        return f"{model.ref} by deployment {model.deployment}"
    return f"{model.ref}:{model.version[:12]}…" if model.version else model.ref


def _check(keys: Sequence[str]) -> int:
    async def question(client: ReplicateClient, settings: Settings) -> int:
        models = _chosen(load(settings.catalogue_path or BUILT_IN), keys)
        wrong = 0
        for model in models:
            findings = await _findings(client, model)
            wrong += any(finding.is_wrong for finding in findings)
            print("\n".join(_told(model, finding) for finding in findings) or f"ok     {model.key}", flush=True)
        print(f"{len(models) - wrong} of {len(models)} entries fit.")
        return 1 if wrong else 0

    return ask(question)


def _chosen(models: Sequence[Model], keys: Sequence[str]) -> list[Model]:
    known = {model.key for model in models}
    if unknown := [key for key in keys if key not in known]:
        raise SettingsError(f"The catalogue has no entry {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    return [model for model in models if not keys or model.key in keys]


def _told(model: Model, finding: Finding) -> str:
    return f"{'wrong' if finding.is_wrong else 'note '}  {model.key} {harmless(finding.text, longest=600)}"


async def _findings(client: ReplicateClient, model: Model) -> list[Finding]:
    if model.backend != "replicate":
        return []
    version = model.version
    if model.deployment:
        try:
            version = (await client.deployments.get(model.deployment)).version
        except PredictionGone:
            return [Finding(f"names the deployment {model.deployment}, which is not there: make it, or take it out.")]
    try:
        return check(model, await client.models.published(model.ref, version))
    except PredictionGone:
        return [Finding(await _whats_gone(client, model))]


async def _whats_gone(client: ReplicateClient, model: Model) -> str:
    try:
        page = await client.models.get(model.ref)
    except PredictionGone:
        return f"names {model.ref}, which is not there any more: choose another model, or take the entry out."
    newest = page.newest.id if page.newest else ""
    return f'pins a version that is not there any more: set version = "{newest}".'


def _search(words: str, limit: int) -> int:
    async def question(client: ReplicateClient, _: Settings) -> int:
        found = await client.models.search(words, limit=limit)
        rows = [
            (page.ref, f"{page.runs:,} runs", "official" if page.is_official else "", harmless(page.description))
            for page in found
        ]
        print(columns(rows) if rows else f"Nothing fits “{words}”.")
        return 0 if rows else 1

    return ask(question)


def _add(given: argparse.Namespace) -> int:
    async def question(client: ReplicateClient, settings: Settings) -> tuple[Draft, Path | None]:
        ref, _, version = given.ref.partition(":")
        published = await _published(client, ref, version)
        today = datetime.now(UTC).date()
        return draft(published, today=today, key=given.key, task=given.task), settings.catalogue_path

    drafted, path = ask(question)
    if not given.write:
        print(drafted.text, end="")
        return 0
    if path is None:
        raise SettingsError("CATALOGUE_PATH is not set: name a file of your own there, and the entry is added to it.")
    append(path, drafted)
    print("\n".join([f"[{drafted.key}] is in {path}.", *drafted.to_do]))
    return 0


async def _published(client: ReplicateClient, ref: str, version: str) -> Published:
    try:
        return await client.models.published(ref, version)
    except PredictionGone as error:
        raise InputRefused(f"Replicate shows this token no model {ref}{':' * bool(version)}{version}.") from error
