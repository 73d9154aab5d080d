"""Models at Replicate: pages with prices, search, versions with their schemas, trainings of new versions, deployments.

A deployment is a version of a model on chosen hardware, with instances kept warm or not. The API publishes no prices
(facts of 2026-11, `billingConfig`): they are read on a model's page at replicate.com, which is written for browsers. So
any deviation from the known form means "no price published", never an error.
"""

import html
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from ssl import SSLContext
from urllib.parse import urlsplit

import httpx

from bot.backends import http
from bot.backends.cog_schema import CogSchema
from bot.backends.predictions import CogPrediction, parse_prediction, parse_time
from bot.backends.replicate.api import ReplicateApi, quote_id, quote_ref
from bot.backends.replicate.errors import SERVICE_DOWN
from bot.core.backend import Deployment
from bot.core.errors import BackendDown, BackendError, InputRefused, PredictionGone, SubmitUnclear
from bot.core.json import JSON, as_object, get_object, get_objects, get_text
from bot.core.models import Metric, ModelSchema, PriceTier, SchemaField

MAX_SEARCH_RESULTS = 50
"""Results of one /search, at most."""


@dataclass(frozen=True, slots=True)
class ModelVersion:
    """One build of a model. `id` is 64 hex digits."""

    id: str
    created_at: datetime | None = None
    schema: CogSchema = field(default_factory=lambda: CogSchema({}))


@dataclass(frozen=True, slots=True)
class ModelPage:
    """A model's page. `newest_version` is None for a model without versions."""

    ref: str
    description: str = ""
    is_official: bool = False
    is_public: bool = True
    run_count: int = 0
    license_url: str = ""
    newest_version: ModelVersion | None = None
    example: Mapping[str, JSON] = field(default_factory=dict)


class ReplicateModels:
    """Reads models. All methods raise a `BackendError`, and `PredictionGone` for a missing model or version."""

    def __init__(self, api: ReplicateApi) -> None:
        self._api = api

    async def get(self, ref: str) -> ModelPage:
        """GET /models/{owner}/{name}."""
        return _parse_model_page(await self._api.request("GET", f"models/{quote_ref(ref)}"))

    async def search(self, text: str, *, limit: int = 20) -> Sequence[ModelPage]:
        """Return the models that match a text best, at most 50: GET /search, or QUERY /models if /search fails."""
        # /search is in beta: the endpoint also searches tags and descriptions, and may disappear.
        limit = max(1, min(limit, MAX_SEARCH_RESULTS))
        try:
            found = await self._api.request("GET", "search", params={"query": text, "limit": limit})
        except BackendError:
            return [page async for page in self.query(text, limit=limit)]
        return [_parse_model_page(get_object(item, "model")) for item in get_objects(found, "models")][:limit]

    async def query(self, text: str, *, limit: int = MAX_SEARCH_RESULTS) -> AsyncIterator[ModelPage]:
        """QUERY /models: yield the models that match a text, at most `limit`."""
        headers = {"Content-Type": "text/plain"}
        found = self._api.iterate_items("models", method="QUERY", content=text.encode(), headers=headers)
        async for item in found:
            if limit <= 0:
                return
            limit -= 1
            yield _parse_model_page(item)

    async def create(self, owner: str, name: str, *, hardware: str, description: str) -> None:
        """POST /models: create a private model without versions. Raise `InputRefused` for a name that is taken."""
        page: dict[str, JSON] = {"owner": owner, "name": name, "visibility": "private", "hardware": hardware}
        await self._api.request("POST", "models", json=page | {"description": description})

    async def get_version(self, ref: str, version: str) -> ModelVersion:
        """GET /models/{owner}/{name}/versions/{id}."""
        return _parse_version(await self._api.request("GET", f"models/{quote_ref(ref)}/versions/{quote_id(version)}"))

    async def list_versions(self, ref: str) -> AsyncGenerator[ModelVersion]:
        """GET /models/{owner}/{name}/versions, newest first. Official models list none."""
        async for item in self._api.iterate_items(f"models/{quote_ref(ref)}/versions"):
            yield _parse_version(item)

    async def get_schema(self, ref: str, version: str = "") -> ModelSchema:
        """Return the inputs and the output of a model's version; without a version, of the newest."""
        page = await self.get(ref)
        newest = page.newest_version
        is_newest = not version or (newest is not None and newest.id == version)
        chosen = newest if is_newest else await self.get_version(ref, version)
        schema = chosen.schema if chosen else CogSchema({})
        return ModelSchema(
            ref=page.ref or ref,
            version=chosen.id if chosen else "",
            newest_version=newest.id if newest else "",
            is_official=page.is_official,
            fields=schema.read_fields(),
            output=schema.read_output_kind(),
            description=page.description,
            usual_seconds=_read_example_seconds(page.example),
            run_count=page.run_count,
            license_url=page.license_url,
        )

    async def get_training_fields(self, ref: str, version: str) -> tuple[SchemaField, ...] | None:
        """Return the inputs of a training of a version; None for a version that cannot be trained."""
        return (await self.get_version(ref, version)).schema.read_fields("TrainingInput")


@dataclass(frozen=True, slots=True)
class ReplicateTraining:
    """A training of a new version. `run` has the state, logs, error and times; the other fields are set by success."""

    run: CogPrediction
    version: str = ""
    """`owner/name:64hex` of the new version."""
    weights_url: str = ""
    """Address of the weights, valid for an hour."""


class ReplicateTrainings:
    """Trains models, which costs money and takes minutes to hours. All methods raise a `BackendError`."""

    def __init__(self, api: ReplicateApi) -> None:
        self._api = api

    async def create(
        self, model: str, version: str, destination: str, inputs: Mapping[str, JSON], *, webhook: str | None = None
    ) -> ReplicateTraining:
        """POST /models/{owner}/{name}/versions/{id}/trainings. `destination` is an existing model, `owner/name`.

        Raise `SubmitUnclear` if a broken create may have arrived: the caller lists trainings before another try.
        """
        body: dict[str, JSON] = {"destination": destination, "input": dict(inputs)}
        if webhook:
            body |= {"webhook": webhook, "webhook_events_filter": ["completed"]}
        path = f"models/{quote_ref(model)}/versions/{quote_id(version)}/trainings"
        reply = await self._api.request_once("POST", path, json=body)
        try:
            return _parse_training(reply)
        except BackendDown as error:
            raise SubmitUnclear("the reply is no training") from error

    async def get(self, training_id: str) -> ReplicateTraining:
        """GET /trainings/{id}."""
        return _parse_training(await self._api.request("GET", f"trainings/{quote_id(training_id)}"))

    async def cancel(self, training_id: str) -> ReplicateTraining:
        """POST /trainings/{id}/cancel. Harmless for an ended training."""
        return _parse_training(await self._api.request("POST", f"trainings/{quote_id(training_id)}/cancel"))

    async def list(self) -> AsyncIterator[ReplicateTraining]:
        """GET /trainings, newest first."""
        async for item in self._api.iterate_items("trainings"):
            yield _parse_training(item)


def _parse_model_page(body: JSON) -> ModelPage:
    owner, name = get_text(body, "owner"), get_text(body, "name")
    page = as_object(body)
    runs, newest = page.get("run_count"), get_object(page, "latest_version")
    return ModelPage(
        ref=f"{owner}/{name}" if owner and name else "",
        description=get_text(body, "description"),
        is_official=page.get("is_official") is True,
        is_public=page.get("visibility", "public") == "public",
        run_count=runs if isinstance(runs, int) else 0,
        license_url=get_text(body, "license_url"),
        newest_version=_parse_version(newest) if newest.get("id") else None,
        example=get_object(page, "default_example"),
    )


def _parse_version(body: JSON) -> ModelVersion:
    created_at = as_object(body).get("created_at")
    schema = CogSchema(get_object(body, "openapi_schema"), get_text(body, "cog_version"))
    return ModelVersion(get_text(body, "id"), parse_time(created_at), schema)


def _read_example_seconds(example: Mapping[str, JSON]) -> float | None:
    seconds = get_object(dict(example), "metrics").get("predict_time")
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else None


def _parse_training(body: JSON) -> ReplicateTraining:
    try:
        run = parse_prediction(body)
    except ValueError as error:
        raise BackendDown(SERVICE_DOWN) from error
    output = get_object(body, "output")
    return ReplicateTraining(run, get_text(output, "version"), get_text(output, "weights"))


# Deployments.


@dataclass(frozen=True, slots=True)
class Hardware:
    """Hardware for deployments: `sku` is the id in requests, such as `gpu-t4`; `name` is for people."""

    sku: str
    name: str


class ReplicateDeployments:
    """Manages deployments. All methods raise a `BackendError`, and `PredictionGone` for a missing deployment."""

    def __init__(self, api: ReplicateApi) -> None:
        self._api = api

    async def list(self) -> AsyncIterator[Deployment]:
        """GET /deployments."""
        async for item in self._api.iterate_items("deployments"):
            yield _parse_deployment(item)

    async def get(self, name: str) -> Deployment:
        """GET /deployments/{owner}/{name}."""
        return _parse_deployment(await self._api.request("GET", f"deployments/{quote_ref(name)}"))

    async def find(self, name: str) -> Deployment:
        """Return a deployment by `owner/name`, or by a name of the account. Raise `InputRefused` with the names."""
        if "/" not in name:
            name = f"{get_text(await self._api.request('GET', 'account'), 'username')}/{name}"
        try:
            return await self.get(name)
        except PredictionGone as error:
            names = [item.name async for item in self.list()]
            raise InputRefused(f"There is no deployment {name}; yours: {', '.join(names) or 'none'}.") from error

    async def create(
        self, name: str, *, model: str, version: str, hardware: str, min_instances: int = 0, max_instances: int = 1
    ) -> Deployment:
        """POST /deployments. `name` has no owner: the token's account owns the deployment.

        Raise `SubmitUnclear` if a broken create may have arrived.
        """
        body: dict[str, JSON] = {"name": name, "model": model, "version": version, "hardware": hardware}
        body |= {"min_instances": min_instances, "max_instances": max_instances}
        return _parse_deployment(await self._api.request_once("POST", "deployments", json=body))

    async def update(
        self,
        name: str,
        *,
        version: str | None = None,
        hardware: str | None = None,
        min_instances: int | None = None,
        max_instances: int | None = None,
    ) -> Deployment:
        """PATCH /deployments/{owner}/{name}: change every argument that is not None, as a new release."""
        changes: dict[str, JSON] = {"version": version, "hardware": hardware}
        changes |= {"min_instances": min_instances, "max_instances": max_instances}
        body = {key: value for key, value in changes.items() if value is not None}
        return _parse_deployment(await self._api.request("PATCH", f"deployments/{quote_ref(name)}", json=body))

    async def delete(self, name: str) -> None:
        """DELETE /deployments/{owner}/{name}. Replicate refuses a deployment that was used within 15 minutes."""
        await self._api.request("DELETE", f"deployments/{quote_ref(name)}")

    async def list_hardware(self) -> Sequence[Hardware]:
        """GET /hardware."""
        body = await self._api.request("GET", "hardware")
        items = body if isinstance(body, list) else []
        return [Hardware(get_text(item, "sku"), get_text(item, "name")) for item in items if get_text(item, "sku")]

    async def check_hardware(self, sku: str) -> None:
        """Raise `InputRefused` with the known hardware for any other."""
        skus = [hardware.sku for hardware in await self.list_hardware()]
        # Checked before the request: the error can list the SKUs. An empty list says nothing about this SKU.
        if skus and sku not in skus:
            raise InputRefused(f"There is no hardware {sku}; there is {', '.join(skus)}.")


def _parse_deployment(body: JSON) -> Deployment:
    release = get_object(body, "current_release")
    configuration = get_object(release, "configuration")
    return Deployment(
        name=f"{get_text(body, 'owner')}/{get_text(body, 'name')}",
        model=get_text(release, "model"),
        version=get_text(release, "version"),
        hardware=get_text(configuration, "hardware"),
        min_instances=_parse_count(configuration.get("min_instances")),
        max_instances=_parse_count(configuration.get("max_instances")),
        release=_parse_count(release.get("number")),
    )


def _parse_count(value: JSON) -> int:
    return value if isinstance(value, int) else 0


# Prices.

MAX_PAGE_BYTES = 4 * 1024 * 1024
"""A page with a long schema and an example takes some 300 kB."""

_MICROS_PER_USD = 1_000_000
_AMOUNT = re.compile(r"\$?\s*(\d{1,6}(?:\.\d{1,12})?)")
_UNITS = {"thousand": 1_000, "million": 1_000_000}
_CRITERION_NAMES = ("property", "name", "field", "input", "key")
_MAX_TIERS = 500


class PricePages:
    """Reads price pages without the owner's token: the pages are public."""

    def __init__(self, base_url: str, *, context: SSLContext) -> None:
        self._base_url = base_url
        self._http = http.create_api_client(headers={}, context=context)

    async def read(self, ref: str) -> tuple[PriceTier, ...]:
        """Return the tiers on a model's page; empty where no price can be read, or no page."""
        body = bytearray()
        try:
            async with self._http.stream("GET", build_price_page_url(self._base_url, ref)) as response:
                if not response.is_success:
                    return ()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_PAGE_BYTES:
                        return ()
        except httpx.HTTPError:
            return ()
        return parse_price_page(body.decode("utf-8", "replace"))

    async def close(self) -> None:
        await self._http.aclose()


def build_price_page_url(base_url: str, ref: str) -> str:
    """Return the address of a model's page; `base_url` is the API's, such as `https://api.replicate.com/v1`."""
    parts = urlsplit(base_url)
    return f"{parts.scheme}://{parts.netloc.removeprefix('api.')}/{quote_ref(ref)}/api/schema"


def parse_price_page(page: str) -> tuple[PriceTier, ...]:
    """Return the tiers on a page; empty without a readable price."""
    for text in (page, html.unescape(page), page.replace('\\"', '"')):
        for config in _find_objects(text, '"billingConfig"'):
            tiers = [tier for found in get_objects(config, "current_tiers") for tier in _parse_tier(found)]
            if tiers:
                return tuple(tiers[:_MAX_TIERS])
    return ()


def _find_objects(text: str, key: str) -> Iterator[JSON]:
    """Yield each JSON object that follows a key in a text."""
    for match in re.finditer(re.escape(key) + r"\s*:\s*(?=\{)", text):
        try:
            yield json.JSONDecoder().raw_decode(text, match.end())[0]
        except (ValueError, RecursionError):
            continue


def _parse_tier(tier: dict[str, JSON]) -> Iterator[PriceTier]:
    conditions = [_parse_criterion(criterion) for criterion in get_objects(tier, "criteria")]
    when = {name: (value,) for name, value in conditions if name}
    for price in get_objects(tier, "prices"):
        metric, micros = get_text(price, "metric"), _parse_micros(price)
        if metric in set(Metric) and micros is not None:
            yield PriceTier(Metric(metric), micros, when)


def _parse_criterion(criterion: dict[str, JSON]) -> tuple[str, JSON]:
    for name in _CRITERION_NAMES:
        if isinstance(field := criterion.get(name), str) and "value" in criterion:
            return field, criterion["value"]
    return next(iter(criterion.items())) if len(criterion) == 1 else ("", None)


def _parse_micros(price: dict[str, JSON]) -> Fraction | None:
    """Return the micro-dollars for one unit: a number or a text such as `$0.05`, for the units that the title names."""
    value, title = price.get("price"), get_text(price, "title").lower()
    text = value if isinstance(value, str) else repr(value) if isinstance(value, int | float) else ""
    amount = _AMOUNT.fullmatch(text.strip())
    if amount is None or isinstance(value, bool):
        return None
    units = next((count for word, count in _UNITS.items() if word in title.split()), 1)
    return Fraction(amount[1]) * _MICROS_PER_USD / units
