"""Deployments at Replicate: a version of a model on chosen hardware, with instances kept warm or not."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from bot.backends.replicate.api import ReplicateApi, quote_ref
from bot.core.backend import Deployment
from bot.core.errors import InputRefused, PredictionGone
from bot.core.json import JSON, get_object, get_text


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
