"""Model servers of the owner: finds those at the usual ports of this machine, and lists and checks the models of each.

Found servers are offered in a catalogue file for `demo`; the verbs of the owner read the tables `[backends.NAME]`.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from bot.backend_registry import open_backends
from bot.catalogue.checking import CatalogueFinding, check_model, check_price
from bot.catalogue.drafting import DraftingError, derive_key, draft_entry
from bot.catalogue.loading import BUILT_IN_PATH, CatalogueError, load_backends, load_catalogue
from bot.cli.terminal import print_text, sanitise_line
from bot.core.backend import Backend, BackendConfig, BackendKind, LostRuns, ModelSource
from bot.core.clock import SystemClock
from bot.core.errors import BackendError, EaselError, InputRefused, PredictionGone
from bot.core.models import Metric, Model, ModelSchema, PriceTier
from bot.settings import SettingsError

USUAL_SERVERS = (
    BackendConfig("ollama", BackendKind.OPENAI, "http://127.0.0.1:11434/v1"),
    BackendConfig("llama-cpp", BackendKind.OPENAI, "http://127.0.0.1:8080/v1"),
    BackendConfig("lm-studio", BackendKind.OPENAI, "http://127.0.0.1:1234/v1"),
    BackendConfig("comfyui", BackendKind.COMFYUI, "http://127.0.0.1:8188"),
    BackendConfig("a1111", BackendKind.A1111, "http://127.0.0.1:7860", at_once=1),
)
"""The ports that each program listens on unless told otherwise."""

SEARCH_SECONDS = 0.3
"""The longest search: a person waits for the demo to start."""

_CONNECT_SECONDS = 0.1
_MAX_MODELS = 8
_OWN_HARDWARE = (PriceTier(Metric.RUN, Fraction(0)),)


# Servers on this machine, for `demo`.


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that answers, with the models that the bot can run."""

    config: BackendConfig
    schemas: tuple[ModelSchema, ...]


async def find_local_servers(servers: Sequence[BackendConfig]) -> list[LocalServer]:
    """Return the servers that answer within `SEARCH_SECONDS`. A server of another kind at a port is left out."""
    looks = [asyncio.create_task(_look(config)) for config in servers]
    done, late = await asyncio.wait(looks, timeout=SEARCH_SECONDS)
    for look in late:
        look.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    found = [look.result() for look in looks if look in done]
    return [server for server in found if server is not None]


async def _look(config: BackendConfig) -> LocalServer | None:
    if not await _is_listening(config.url):
        return None
    backend = open_backends([config], SystemClock(), None)[config.name]
    try:
        # Any program may listen there: only a list of models in the right form makes a server.
        refs = (await backend.list_models())[:_MAX_MODELS] if isinstance(backend, ModelSource) else []
        schemas = [await backend.get_schema(ref) for ref in refs] if isinstance(backend, ModelSource) else []
    except EaselError:
        return None
    finally:
        await backend.close()
    return LocalServer(config, tuple(schemas))


async def _is_listening(url: str) -> bool:
    parts = urlsplit(url)
    try:
        async with asyncio.timeout(_CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(parts.hostname, parts.port)
    except (OSError, TimeoutError):
        return False
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()
    return True


def write_catalogue(path: Path, found: Sequence[LocalServer]) -> int:
    """Write the built-in catalogue with the models of local servers behind its own; return their number."""
    parts, count = [BUILT_IN_PATH.read_text(encoding="utf-8")], 0
    for server in found:
        config = server.config
        limit = f"at_once = {config.at_once}\n" if config.at_once else ""
        parts.append(f'[backends.{config.name}]\nkind = "{config.kind}"\nurl = "{config.url}"\n{limit}')
        for n, schema in enumerate(server.schemas, 1):
            with suppress(DraftingError):
                parts.append(_draft(config, schema, n))
                count += 1
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts), encoding="utf-8")
    return count


def _draft(config: BackendConfig, schema: ModelSchema, n: int) -> str:
    """Return the entry of a model, free of charge. Raise `DraftingError` for a model that no command runs."""
    free = replace(schema, price_tiers=_OWN_HARDWARE, page="own hardware", backend=config.name)
    # The server chooses its names: the number keeps two alike apart.
    key = f"{config.name}-{n}-{derive_key(schema.ref)}"[:60]
    return draft_entry(free, today=datetime.now(UTC).date(), key=key).text


def offer_local_models(folder: Path) -> tuple[Path, str] | None:
    """Return a catalogue file with the models of local servers, and a sentence about them; None without any."""
    found = asyncio.run(find_local_servers(USUAL_SERVERS))
    if not found:
        return None
    path = folder / "models-of-this-machine.toml"
    count = write_catalogue(path, found)
    try:
        load_backends(path)
        load_catalogue(path)
    except CatalogueError:  # a name that no entry takes: the demo goes on without the servers
        return None
    names = ", ".join(server.config.name for server in found)
    return path, f"Found on this machine: {names}, with {count} model{'' if count == 1 else 's'} to choose."


# Servers of the catalogue, for `models` and `doctor`.

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
