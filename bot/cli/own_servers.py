"""Lists, drafts and checks models of the tables `[backends.NAME]`, for the verbs of the owner."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from fractions import Fraction
from ipaddress import ip_address
from urllib.parse import urlsplit

from bot.backend_registry import open_backends
from bot.catalogue.checking import CatalogueFinding, check_model, check_price
from bot.cli.terminal import print_text, sanitise_line
from bot.core.backend import Backend, BackendConfig, LostRuns, ModelSource
from bot.core.clock import SystemClock
from bot.core.errors import BackendError, InputRefused, PredictionGone
from bot.core.models import Metric, Model, ModelSchema, PriceTier
from bot.settings import SettingsError

_MAX_LISTED_MODELS = 10


async def check_own_model(backend: Backend, model: Model, *, with_prices: bool) -> list[CatalogueFinding]:
    """Compare an entry with what a server of the owner lists."""
    if not isinstance(backend, ModelSource):
        return []
    try:
        published = await backend.get_schema(model.ref, model.version)
    except PredictionGone:
        return [CatalogueFinding(f"names {model.ref}, and {await _describe_offer(backend, model.backend)}")]
    except BackendError as error:
        return [CatalogueFinding(f"cannot be checked: {error}")]
    findings = check_model(model, published)
    return [*findings, *(check_price(model.price, published.price_tiers) if with_prices else ())]


async def _describe_offer(source: ModelSource, name: str) -> str:
    """Return the end of a sentence about a model that a server does not have."""
    try:
        listed = await source.list_models()
    except BackendError as error:
        return str(error)
    if not listed:
        return f"{name} has no model yet: load one there."
    more = ", …" if len(listed) > _MAX_LISTED_MODELS else "."
    return f"{name} has {', '.join(listed[:_MAX_LISTED_MODELS])}{more}"


async def list_offer(config: BackendConfig) -> int:
    async with _open_source(config) as source:
        models = await source.list_models()
    # The server writes the names: no control characters reach the terminal.
    print_text("\n".join(sanitise_line(name) for name in models) or f"{config.name} has no model yet: load one there.")
    return 0 if models else 1


async def get_own_schema(config: BackendConfig, ref: str) -> ModelSchema:
    async with _open_source(config) as source:
        try:
            schema = await source.get_schema(ref)
        except PredictionGone as error:
            raise InputRefused(
                f"There is no model {ref} there: {await _describe_offer(source, config.name)}"
            ) from error
    if not schema.price_tiers and config.lost_runs is LostRuns.REFUND and is_local(config.url):
        # The owner's own machine: nobody sends a bill for a run.
        return replace(schema, price_tiers=(PriceTier(Metric.RUN, Fraction(0)),), page="own hardware")
    return schema


@asynccontextmanager
async def _open_source(config: BackendConfig) -> AsyncIterator[ModelSource]:
    backend = open_backends([config], SystemClock(), None)[config.name]
    try:
        if not isinstance(backend, ModelSource):
            raise SettingsError(f"[backends.{config.name}] is a server that lists no models: write the entry by hand.")
        yield backend
    finally:
        await backend.close()


def is_local(url: str) -> bool:
    """Return whether an address is on this machine or in a private network."""
    host = urlsplit(url).hostname or ""
    try:
        address = ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith((".local", ".internal", ".lan"))
    return not address.is_global
