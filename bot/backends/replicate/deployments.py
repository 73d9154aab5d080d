"""The hardware that deployments can run on."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from bot.backends.replicate.json_fields import ReplicateApi, get_object, get_text, iterate_items, quote_ref
from bot.core.json import JSON


@dataclass(frozen=True, slots=True)
class Hardware:
    """`sku` is what requests say, such as `gpu-t4`; `name` is for people."""

    sku: str
    name: str


async def list_hardware(api: ReplicateApi) -> list[Hardware]:
    """GET /hardware."""
    told: JSON = await api.request("GET", "hardware")
    items = told if isinstance(told, list) else []
    return [Hardware(get_text(item, "sku"), get_text(item, "name")) for item in items if get_text(item, "sku")]


# MERGED Deployments at Replicate: one version of a model on hardware of one's own choice, kept warm or not.

MAX_MIN_INSTANCES = 5
"""Instances that may be kept running, at most."""

MAX_INSTANCES = 20


@dataclass(frozen=True, slots=True)
class ReplicateDeployment:
    """As its current release is. `name` is `owner/name`; `kept` instances run, and cost, also while nobody asks."""

    name: str
    model: str
    version: str
    hardware: str
    min_instances: int
    max_instances: int
    release: int


class ReplicateDeployments:
    """All raise a `BackendError`; what is not there raises `PredictionGone`. Predictions go by the client itself."""

    def __init__(self, api: ReplicateApi) -> None:
        self._api = api

    async def list(self) -> AsyncIterator[ReplicateDeployment]:
        """GET /deployments."""
        async for item in iterate_items(self._api, "deployments"):
            yield _parse_deployment(item)

    async def get(self, name: str) -> ReplicateDeployment:
        """GET /deployments/{owner}/{name}."""
        return _parse_deployment(await self._api.request("GET", f"deployments/{quote_ref(name)}"))

    async def create(
        self, name: str, *, model: str, version: str, hardware: str, min_instances: int = 0, max_instances: int = 1
    ) -> ReplicateDeployment:
        """POST /deployments. `name` is without the owner, who is the token's. Raises `SubmitUnclear`, see `Calls`."""
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
    ) -> ReplicateDeployment:
        """PATCH /deployments/{owner}/{name}: what is not None changes, as a new release."""
        changes: dict[str, JSON] = {"version": version, "hardware": hardware}
        changes |= {"min_instances": min_instances, "max_instances": max_instances}
        body = {key: value for key, value in changes.items() if value is not None}
        return _parse_deployment(await self._api.request("PATCH", f"deployments/{quote_ref(name)}", json=body))

    async def delete(self, name: str) -> None:
        """DELETE /deployments/{owner}/{name}. Replicate refuses one that is online or was used within 15 minutes."""
        await self._api.request("DELETE", f"deployments/{quote_ref(name)}")


def _parse_deployment(body: JSON) -> ReplicateDeployment:
    release = get_object(body, "current_release")
    configuration = get_object(release, "configuration")
    return ReplicateDeployment(
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
