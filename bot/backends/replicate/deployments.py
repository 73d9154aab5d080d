"""Deployments at Replicate: one version of a model on hardware of one's own choice, kept warm or not."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from bot.backends.replicate.calls import Calls, named, pages, part, words
from bot.core.json import JSON

MOST_KEPT = 5
"""Instances that may be kept running, at most."""

MOST_INSTANCES = 20


@dataclass(frozen=True, slots=True)
class Deployment:
    """As its current release is. `name` is `owner/name`; `kept` instances run, and cost, also while nobody asks."""

    name: str
    model: str
    version: str
    hardware: str
    kept: int
    at_most: int
    release: int


class Deployments:
    """All raise a `BackendError`; what is not there raises `PredictionGone`. Predictions go by the client itself."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def list(self) -> AsyncIterator[Deployment]:
        """GET /deployments."""
        async for item in pages(self._calls, "deployments"):
            yield _deployment(item)

    async def get(self, name: str) -> Deployment:
        """GET /deployments/{owner}/{name}."""
        return _deployment(await self._calls.ask("GET", f"deployments/{named(name)}"))

    async def create(
        self, name: str, *, model: str, version: str, hardware: str, kept: int = 0, at_most: int = 1
    ) -> Deployment:
        """POST /deployments. `name` is without the owner, who is the token's. Raises `SubmitUnclear`, see `Calls`."""
        body: dict[str, JSON] = {"name": name, "model": model, "version": version, "hardware": hardware}
        body |= {"min_instances": kept, "max_instances": at_most}
        return _deployment(await self._calls.send("POST", "deployments", json=body))

    async def update(
        self,
        name: str,
        *,
        version: str | None = None,
        hardware: str | None = None,
        kept: int | None = None,
        at_most: int | None = None,
    ) -> Deployment:
        """PATCH /deployments/{owner}/{name}: what is not None changes, as a new release."""
        changes: dict[str, JSON] = {"version": version, "hardware": hardware}
        changes |= {"min_instances": kept, "max_instances": at_most}
        body = {key: value for key, value in changes.items() if value is not None}
        return _deployment(await self._calls.ask("PATCH", f"deployments/{named(name)}", json=body))

    async def delete(self, name: str) -> None:
        """DELETE /deployments/{owner}/{name}. Replicate refuses one that is online or was used within 15 minutes."""
        await self._calls.ask("DELETE", f"deployments/{named(name)}")


def _deployment(body: JSON) -> Deployment:
    release = part(body, "current_release")
    configuration = part(release, "configuration")
    return Deployment(
        name=f"{words(body, 'owner')}/{words(body, 'name')}",
        model=words(release, "model"),
        version=words(release, "version"),
        hardware=words(configuration, "hardware"),
        kept=_count(configuration.get("min_instances")),
        at_most=_count(configuration.get("max_instances")),
        release=_count(release.get("number")),
    )


def _count(value: JSON) -> int:
    return value if isinstance(value, int) else 0
