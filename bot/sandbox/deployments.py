"""The deployments of the sandbox: names that stand for one version of a model, and their releases."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from bot.sandbox.catalogue import Catalogue
from bot.sandbox.clock import SandboxClock
from bot.sandbox.listing import Version
from bot.sandbox.model import SandboxModel
from bot.sandbox.problems import Problem, invalid_version, not_found

_UNUSED_FOR = timedelta(minutes=15)


@dataclass(frozen=True)
class Release:
    """`hardware` and the two bounds are told and nothing more: everything runs on this machine."""

    number: int
    version: Version
    hardware: str
    min_instances: int
    max_instances: int
    created_at: datetime


@dataclass
class Deployment:
    owner: str
    name: str
    release: Release
    used_at: datetime | None = field(default=None)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


class Deployments:
    """`names` maps the owner/name of each deployment that is there from the start to the owner/name of its model."""

    def __init__(self, names: Mapping[str, str], catalogue: Catalogue, clock: SandboxClock) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._by_name: dict[str, Deployment] = {}
        for full_name, model in names.items():
            owner, _, name = full_name.partition("/")
            self.add(owner, name, self._latest(model), {"hardware": "cpu", "min_instances": 0, "max_instances": 1})

    def newest_first(self) -> list[Deployment]:
        return list(reversed(self._by_name.values()))

    def named(self, full_name: str) -> Deployment:
        """Raises the 404 of an unknown deployment."""
        if full_name not in self._by_name:
            raise not_found()
        return self._by_name[full_name]

    def used(self, full_name: str) -> SandboxModel:
        """The model behind a deployment that a prediction is being made with."""
        deployment = self.named(full_name)
        deployment.used_at = self._clock.now()
        return deployment.release.version.model

    def any_of(self, version_id: str) -> bool:
        return any(deployment.release.version.id == version_id for deployment in self._by_name.values())

    def add(self, owner: str, name: str, version: Version, configuration: Mapping[str, int | str]) -> Deployment:
        """`configuration` has hardware, min_instances and max_instances. Raises 409 when the name is taken."""
        if f"{owner}/{name}" in self._by_name:
            raise Problem(409, "A deployment with that name already exists")
        release = Release(1, version, created_at=self._clock.now(), **configuration)  # type: ignore[arg-type] # checked by the route
        deployment = Deployment(owner, name, release)
        self._by_name[deployment.full_name] = deployment
        return deployment

    def change(self, deployment: Deployment, changes: Mapping[str, object]) -> None:
        """A new release, its number one higher. `changes` are any fields of a release; a version is an id."""
        now, before = self._clock.now(), deployment.release
        known = dict(changes)
        if "version" in known:
            known["version"] = self.version_of(before.version.model.full_name, str(known["version"]))
        deployment.release = replace(before, number=before.number + 1, created_at=now, **known)  # type: ignore[arg-type] # checked by the route

    def remove(self, deployment: Deployment) -> None:
        """Only offline ones (no instance kept up) that nobody used for 15 minutes; the words are the document's."""
        is_used = deployment.used_at and self._clock.now() < deployment.used_at + _UNUSED_FOR
        if is_used or deployment.release.min_instances:
            raise Problem(
                400, "You can only delete deployments that have been offline and unused for at least 15 minutes."
            )
        del self._by_name[deployment.full_name]

    def version_of(self, model: str, version_id: str) -> Version:
        """Raises the 422 of a version that the model does not have."""
        version = self._catalogue.named(model).version(version_id) if model in self._catalogue else None
        if version is None:
            raise invalid_version()
        return version

    def _latest(self, model: str) -> Version:
        version = self._catalogue.named(model).latest
        if version is None:
            raise not_found()
        return version
