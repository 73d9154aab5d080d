"""`python -m bot models`: lists, checks, adds and removes entries of the catalogue, and looks models up."""

import argparse
import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from bot.backend_registry import open_backends
from bot.backends.replicate.client import DESTINATION_FIELD, ReplicateClient
from bot.backends.replicate.models import MAX_PAGE_BYTES, build_price_page_url, parse_price_page
from bot.catalogue.checking import CatalogueFinding, check_model, check_price
from bot.catalogue.drafting import DRAFTED_TASKS, CatalogueDraft, append_entry, draft_entry, remove_entry
from bot.catalogue.loading import BUILT_IN_BACKEND, BUILT_IN_PATH, load_catalogue
from bot.catalogue.option_mapping import format_kinds
from bot.cli.account import open_client, run_with_client
from bot.cli.own_servers import check_own_model, get_own_schema, list_offer
from bot.cli.terminal import format_columns, print_errors, print_text, sanitise_line
from bot.core.clock import SystemClock
from bot.core.errors import EaselError, InputRefused, PredictionGone
from bot.core.models import Model, ModelSchema, Price, PriceTier, Task
from bot.core.people import User
from bot.credits.pricing import format_price
from bot.media.fetching import Fetcher
from bot.settings import Settings, SettingsError, load_configured_backends, load_settings
from bot.telemetry import logs

_MICROS_PER_USD = 1_000_000


@print_errors
def main(arguments: Sequence[str]) -> int:
    options = _create_parser().parse_args(arguments)
    if options.what == "list":
        return _list()
    if options.what == "check":
        return asyncio.run(_check(load_settings(), options.keys, with_prices=options.prices))
    if options.what in ("show", "versions"):
        return _look_up(options)
    if options.what == "search":
        return _search(" ".join(options.words), options.limit)
    if options.what == "remove":
        return _remove(options.key)
    return _add(options)


def _create_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot models", description=__doc__)
    verbs = parser.add_subparsers(dest="what", required=True)
    verbs.add_parser("list", help="the catalogue with its prices; asks nobody")
    checking = verbs.add_parser("check", help="compare the catalogue with what the models publish")
    checking.add_argument("--prices", action="store_true", help="compare the prices with the models' pages too")
    checking.add_argument("keys", nargs="*", metavar="KEY", help="only these entries")
    searching = verbs.add_parser("search", help="find models at Replicate")
    searching.add_argument("words", nargs="+", metavar="WORD")
    searching.add_argument("--limit", type=int, default=10, help="at most so many, up to 50")
    for verb, text in (("show", "what a published model takes and gives"), ("versions", "its versions, newest first")):
        verbs.add_parser(verb, help=text).add_argument("ref", metavar="OWNER/NAME")
    adding = verbs.add_parser("add", help="draft a catalogue entry for a model")
    adding.add_argument(
        "ref",
        nargs="+",
        metavar="[BACKEND] MODEL",
        help="OWNER/NAME at Replicate, with :VERSION for another than the newest; or the name of a server in the "
        "catalogue file and the server's name of a model; a server alone lists its models",
    )
    adding.add_argument("--task", type=Task, choices=DRAFTED_TASKS, help="what it is for; guessed when not given")
    adding.add_argument("--key", default="", help="our name for it; the model's own when not given")
    adding.add_argument("--write", action="store_true", help="append it to the file that CATALOGUE_PATH names")
    removing = verbs.add_parser("remove", help="take an entry out of your catalogue file, or withdraw an added model")
    removing.add_argument("key", metavar="KEY")
    return parser


def _list() -> int:
    models = load_catalogue(load_settings().catalogue_path or BUILT_IN_PATH)
    rows = [(model.key, f"/{model.task}", _format_price(model), _format_ref(model)) for model in models]
    print_text(format_columns(rows))
    return 0


def _format_price(model: Model) -> str:
    """Return a price in dollars per billed unit, and whether the model is off."""
    price = format_price(model.price, lambda micros: f"${float(micros) / _MICROS_PER_USD:g}")
    return f"{price} (off)" if model.price.objection else price


def _format_ref(model: Model) -> str:
    if model.backend != BUILT_IN_BACKEND:
        return f"{model.ref} at {model.backend}"
    if model.deployment:
        return f"{model.ref} by deployment {model.deployment}"
    return f"{model.ref}:{model.version[:12]}…" if model.version else model.ref


async def _check(settings: Settings, keys: Sequence[str], *, with_prices: bool) -> int:
    logs.configure_logging("ERROR", settings.log_format, settings.list_secrets())
    models = _choose_models(load_catalogue(settings.catalogue_path or BUILT_IN_PATH), keys)
    wrong_count = 0
    async with AsyncExitStack() as stack:
        backends = open_backends(load_configured_backends(settings), SystemClock(), None)
        for backend in backends.values():
            stack.push_async_callback(backend.close)
        is_needed = any(model.backend == BUILT_IN_BACKEND for model in models)
        client = await stack.enter_async_context(open_client(settings)) if is_needed else None
        for model in models:
            findings = await (
                _check_model(client, model)
                if model.backend == BUILT_IN_BACKEND and client is not None
                else check_own_model(backends[model.backend], model, with_prices=with_prices)
            )
            if with_prices and model.backend == BUILT_IN_BACKEND and not model.deployment:
                findings += check_price(model.price, await _read_published_tiers(settings, model.ref))
            wrong_count += any(finding.is_error for finding in findings)
            lines = [_format_finding(model, finding) for finding in findings] or [f"ok     {model.key}"]
            # Flush: a large catalogue takes minutes, and the output may be a pipe.
            print_text("\n".join(lines))
    print_text(f"{len(models) - wrong_count} of {len(models)} entries fit.")
    return 1 if wrong_count else 0


async def _read_published_tiers(settings: Settings, ref: str) -> tuple[PriceTier, ...]:
    """Return the prices on a model's page; empty without a page. The token does not leave for the page."""
    base_url = settings.replicate_base_url
    fetcher = Fetcher((base_url,))
    try:
        page = await fetcher.fetch(build_price_page_url(base_url, ref), max_bytes=MAX_PAGE_BYTES, is_trusted=True)
    except EaselError:
        return ()
    finally:
        await fetcher.close()
    return parse_price_page(page.data.decode("utf-8", "replace"))


def _choose_models(models: Sequence[Model], keys: Sequence[str]) -> list[Model]:
    known = {model.key for model in models}
    if unknown := [key for key in keys if key not in known]:
        raise SettingsError(f"The catalogue has no entry {', '.join(unknown)}; it has {', '.join(sorted(known))}.")
    return [model for model in models if not keys or model.key in keys]


def _format_finding(model: Model, finding: CatalogueFinding) -> str:
    return f"{'wrong' if finding.is_error else 'note '}  {model.key} {sanitise_line(finding.text, max_characters=600)}"


async def _check_model(client: ReplicateClient, model: Model) -> list[CatalogueFinding]:
    version = model.version
    if model.deployment:
        try:
            version = (await client.deployments.get(model.deployment)).version
        except PredictionGone:
            return [
                CatalogueFinding(
                    f"names the deployment {model.deployment}, which is not there: make it, or take it out."
                )
            ]
    try:
        published = await client.models.get_schema(model.ref, version)
        if model.task is Task.TRAIN:
            fields = await client.models.get_training_fields(model.ref, version)
            # The bot reads the new version of a training, and the destination stands beside the inputs.
            published = replace(published, fields=fields and (*fields, DESTINATION_FIELD), output=model.output)
        return check_model(model, published)
    except PredictionGone:
        return [CatalogueFinding(await _describe_missing(client, model))]


async def _describe_missing(client: ReplicateClient, model: Model) -> str:
    try:
        page = await client.models.get(model.ref)
    except PredictionGone:
        return f"names {model.ref}, which is not there any more: choose another model, or take the entry out."
    newest = page.newest_version.id if page.newest_version else ""
    return f'pins a version that is not there any more: set version = "{newest}".'


def _search(words: str, limit: int) -> int:
    async def action(client: ReplicateClient, _: Settings) -> int:
        # Descriptions are written by strangers: no control characters reach the terminal.
        rows = [
            (
                page.ref,
                f"{page.run_count:,} runs",
                "official" if page.is_official else "",
                sanitise_line(page.description),
            )
            for page in await client.models.search(words, limit=limit)
        ]
        print_text(format_columns(rows) if rows else f"Nothing fits “{words}”.")
        return 0 if rows else 1

    return run_with_client(action)


def _look_up(options: argparse.Namespace) -> int:
    async def action(client: ReplicateClient, settings: Settings) -> str:
        if options.what == "show":
            ref, _, version = options.ref.partition(":")
            tiers = await _read_published_tiers(settings, ref)
            return _format_schema(replace(await get_published_schema(client, ref, version), price_tiers=tiers))
        try:
            rows = [
                (version.id, f"{version.created_at:%Y-%m-%d}" if version.created_at else "")
                async for version in client.models.list_versions(options.ref)
            ]
        except PredictionGone as error:
            raise InputRefused(f"Replicate shows this token no model {options.ref}.") from error
        return format_columns(rows) if rows else f"{options.ref} lists no versions."

    print_text(run_with_client(action))
    return 0


def _format_schema(published: ModelSchema) -> str:
    """Return a model's facts and inputs. Descriptions are written by strangers: each is a single line."""
    price = format_price(Price(published.price_tiers), lambda micros: f"${float(micros) / _MICROS_PER_USD:g}")
    facts = [
        (published.ref, sanitise_line(published.description)),
        ("version", published.version),
        ("gives", str(published.output or "something else")),
        ("price", price if published.price_tiers else "none published"),
        ("runs", f"{published.run_count:,}"),
    ]
    fields = [
        (
            field.name,
            format_kinds(field),
            "needed" if field.is_required else "",
            sanitise_line(", ".join(map(str, field.choices)) or field.description),
        )
        for field in published.fields or ()
    ]
    return "\n".join([format_columns(facts), "", format_columns(fields) if fields else "It publishes no inputs."])


def _add(options: argparse.Namespace) -> int:
    settings = load_settings()
    *named, ref = options.ref
    configs = {config.name: config for config in load_configured_backends(settings)}
    if len(named) > 1 or (named and named[0] not in configs):
        known = f"it has {', '.join(configs)}" if configs else "it has none; see docs/backends.md"
        raise SettingsError(f"The catalogue file has no table [backends.{named[0]}]: {known}.")
    if not named and ref in configs:
        return asyncio.run(list_offer(configs[ref]))
    if named:
        schema = asyncio.run(get_own_schema(configs[named[0]], ref))
        draft = draft_entry(schema, today=datetime.now(UTC).date(), key=options.key, task=options.task)
        return _show_draft(draft, settings.catalogue_path, is_written=options.write)
    draft, path = _draft_from_replicate(options, ref)
    return _show_draft(draft, path, is_written=options.write)


def _draft_from_replicate(options: argparse.Namespace, ref: str) -> tuple[CatalogueDraft, Path | None]:
    async def action(client: ReplicateClient, settings: Settings) -> tuple[CatalogueDraft, Path | None]:
        name, _, version = ref.partition(":")
        schema = await get_published_schema(client, name, version)
        schema = replace(schema, price_tiers=await _read_published_tiers(settings, name))
        today = datetime.now(UTC).date()
        return draft_entry(schema, today=today, key=options.key, task=options.task), settings.catalogue_path

    return run_with_client(action)


def _show_draft(draft: CatalogueDraft, path: Path | None, *, is_written: bool) -> int:
    if not is_written:
        print_text(draft.text, end="")
        return 0
    if path is None:
        raise SettingsError("CATALOGUE_PATH is not set: name a file of your own there, and the entry is added to it.")
    append_entry(path, draft)
    print_text("\n".join([f"[{draft.key}] is in {path}.", *draft.todo]))
    return 0


def _remove(key: str) -> int:
    settings = load_settings()
    path = settings.catalogue_path
    if path is not None and remove_entry(path, key):
        print_text(f"[{key}] is out of {path}. A running bot offers the model until the next start.")
        return 0
    asyncio.run(_withdraw(settings, key))
    print_text(f"{key} is withdrawn. Its unfinished jobs go on.")
    return 0


async def _withdraw(settings: Settings, key: str) -> None:
    """Withdraw a model that was added from the chat. On SQLite the bot must not run: no second process gets in."""
    # Imported here: the other verbs need no bot, and start sooner.
    from bot.app import App

    app = App(settings, backends={})
    await app.database.open()
    try:
        await app.added_models.refresh()
        added = app.dispatcher.services.catalogue.added.get(key)
        # Access to this machine's database makes the caller the owner; the audit of the model's place has the act.
        place = (added.platform or "web", added.workspace or "page") if added else ("web", "page")
        owner = User(*place, "owner", "the owner", is_owner=True)
        if added is None or not await app.added_models.remove(key, owner):
            raise SettingsError(
                f"Neither your catalogue file nor the models added from the chat have {key}. The built-in catalogue is "
                "part of Easel: copy it, name the copy in CATALOGUE_PATH, and take the entry out there."
            )
    finally:
        await app.database.close()


async def get_published_schema(client: ReplicateClient, ref: str, version: str) -> ModelSchema:
    """Return the schema of a model's version, by default the newest. Raise `InputRefused` for an unknown model."""
    try:
        return await client.models.get_schema(ref, version)
    except PredictionGone as error:
        raise InputRefused(f"Replicate shows this token no model {ref}{':' * bool(version)}{version}.") from error
