"""The account and its deployments: names for one version of a model, their releases, and the routes of all.

The account also has the list of hardware and the signing key of webhooks.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from aiohttp import web

from bot.sandbox.api.requests import paginate, read_checked_object
from bot.sandbox.catalogue import SandboxCatalogue, SandboxVersion
from bot.sandbox.clock import SandboxClock, format_timestamp
from bot.sandbox.input_files import ServerAddress
from bot.sandbox.model import InputField, SandboxModel
from bot.sandbox.problems import Problem, make_invalid_version, make_not_found

# The account.

ACCOUNT_NAME = "sandbox"
ACCOUNT = {"type": "user", "username": ACCOUNT_NAME, "name": "The sandbox on this machine"}


HARDWARE = {
    "cpu": "CPU",
    "gpu-t4": "Nvidia T4 GPU",
    "gpu-l40s": "Nvidia L40S GPU",
    "gpu-l40s-2x": "2x Nvidia L40S GPU",
    "gpu-a100-large": "Nvidia A100 (80GB) GPU",
    "gpu-h100": "Nvidia H100 GPU",
}


class AccountRoutes:
    def __init__(self, webhook_secret: str) -> None:
        self._webhook_secret = webhook_secret

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/account", self._get_account),
            web.get("/v1/hardware", self._list_hardware),
            web.get("/v1/webhooks/default/secret", self._get_secret),
        ]

    async def _get_account(self, _: web.Request) -> web.Response:
        return web.json_response(ACCOUNT)

    async def _list_hardware(self, _: web.Request) -> web.Response:
        return web.json_response([{"sku": sku, "name": name} for sku, name in HARDWARE.items()])

    async def _get_secret(self, _: web.Request) -> web.Response:
        return web.json_response({"key": self._webhook_secret})


# Deployments.

_UNUSED_FOR = timedelta(minutes=15)


@dataclass(frozen=True)
class DeploymentRelease:
    """`hardware` and the two bounds appear in replies only: every model runs on this machine."""

    number: int
    version: SandboxVersion
    hardware: str
    min_instances: int
    max_instances: int
    created_at: datetime


@dataclass
class SandboxDeployment:
    owner: str
    name: str
    release: DeploymentRelease
    used_at: datetime | None = field(default=None)

    @property
    def full_name(self) -> str:
        return f"{self.owner}/{self.name}"


class SandboxDeployments:
    """`names` maps the owner/name of each initial deployment to the owner/name of a model."""

    def __init__(self, names: Mapping[str, str], catalogue: SandboxCatalogue, clock: SandboxClock) -> None:
        self._catalogue = catalogue
        self._clock = clock
        self._by_name: dict[str, SandboxDeployment] = {}
        for full_name, model in names.items():
            owner, _, name = full_name.partition("/")
            configuration: dict[str, int | str] = {"hardware": "cpu", "min_instances": 0, "max_instances": 1}
            self.add(owner, name, self._find_latest_version(model), configuration)

    def list_newest_first(self) -> list[SandboxDeployment]:
        return list(reversed(self._by_name.values()))

    def find(self, full_name: str) -> SandboxDeployment:
        """Return a deployment; raise the 404 of an unknown name."""
        if full_name not in self._by_name:
            raise make_not_found()
        return self._by_name[full_name]

    def mark_used(self, full_name: str) -> SandboxModel:
        """Return the model behind a deployment, for a new prediction."""
        deployment = self.find(full_name)
        deployment.used_at = self._clock.now()
        return deployment.release.version.model

    def has_version(self, version_id: str) -> bool:
        return any(deployment.release.version.id == version_id for deployment in self._by_name.values())

    def add(
        self, owner: str, name: str, version: SandboxVersion, configuration: Mapping[str, int | str]
    ) -> SandboxDeployment:
        """`configuration` has hardware, min_instances and max_instances. Raise 409 for a taken name."""
        if f"{owner}/{name}" in self._by_name:
            raise Problem(409, "A deployment with that name already exists")
        release = DeploymentRelease(1, version, created_at=self._clock.now(), **configuration)  # type: ignore[arg-type] # checked by the route
        deployment = SandboxDeployment(owner, name, release)
        self._by_name[deployment.full_name] = deployment
        return deployment

    def change(self, deployment: SandboxDeployment, changes: Mapping[str, object]) -> None:
        """Create a release with the next number. `changes` are fields of a release; a version is an id."""
        now, before = self._clock.now(), deployment.release
        known = dict(changes)
        if "version" in known:
            known["version"] = self.find_version(before.version.model.full_name, str(known["version"]))
        deployment.release = replace(before, number=before.number + 1, created_at=now, **known)  # type: ignore[arg-type] # checked by the route

    def remove(self, deployment: SandboxDeployment) -> None:
        """Delete a deployment without instances that was unused for 15 minutes; the texts are the API description's."""
        is_used = deployment.used_at and self._clock.now() < deployment.used_at + _UNUSED_FOR
        if is_used or deployment.release.min_instances:
            raise Problem(
                400, "You can only delete deployments that have been offline and unused for at least 15 minutes."
            )
        del self._by_name[deployment.full_name]

    def find_version(self, model: str, version_id: str) -> SandboxVersion:
        """Raise the 422 of a version that the model lacks."""
        version = self._catalogue.find(model).find_version(version_id) if model in self._catalogue else None
        if version is None:
            raise make_invalid_version()
        return version

    def _find_latest_version(self, model: str) -> SandboxVersion:
        version = self._catalogue.find(model).latest
        if version is None:
            raise make_not_found()
        return version


_CHANGES = (
    InputField("version", "string"),
    InputField("hardware", "string", choices=tuple(HARDWARE)),
    InputField("min_instances", "integer", minimum=0, maximum=5),
    InputField("max_instances", "integer", minimum=0, maximum=20),
)
_NEW = (
    InputField("name", "string", required=True),
    InputField("model", "string", required=True),
    InputField("version", "string", required=True),
    InputField("hardware", "string", required=True, choices=tuple(HARDWARE)),
    InputField("min_instances", "integer", minimum=0, maximum=5, required=True),
    InputField("max_instances", "integer", minimum=0, maximum=20, required=True),
)
_CONFIGURATION = ("hardware", "min_instances", "max_instances")


class DeploymentRoutes:
    def __init__(self, deployments: SandboxDeployments, address: ServerAddress) -> None:
        self._deployments = deployments
        self._address = address

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/deployments", self._list),
            web.post("/v1/deployments", self._create),
            web.get("/v1/deployments/{owner}/{name}", self._get),
            web.patch("/v1/deployments/{owner}/{name}", self._update),
            web.delete("/v1/deployments/{owner}/{name}", self._delete),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return paginate(
            request,
            self._address.url,
            self._deployments.list_newest_first(),
            lambda deployment: deployment.full_name,
            _build_body,
        )

    async def _create(self, request: web.Request) -> web.Response:
        body = await read_checked_object(request, _NEW)
        version = self._deployments.find_version(body["model"], body["version"])
        configuration = {name: body[name] for name in _CONFIGURATION}
        return web.json_response(_build_body(self._deployments.add(ACCOUNT_NAME, body["name"], version, configuration)))

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(_build_body(self._find(request)))

    async def _update(self, request: web.Request) -> web.Response:
        deployment = self._find(request)
        self._deployments.change(deployment, await read_checked_object(request, _CHANGES))
        return web.json_response(_build_body(deployment))

    async def _delete(self, request: web.Request) -> web.Response:
        self._deployments.remove(self._find(request))
        return web.Response(status=204)

    def _find(self, request: web.Request) -> SandboxDeployment:
        return self._deployments.find(f"{request.match_info['owner']}/{request.match_info['name']}")


def _build_body(deployment: SandboxDeployment) -> dict[str, Any]:
    release = deployment.release
    return {
        "owner": deployment.owner,
        "name": deployment.name,
        "current_release": {
            "number": release.number,
            "model": release.version.model.full_name,
            "version": release.version.id,
            "created_at": format_timestamp(release.created_at),
            "created_by": ACCOUNT,
            "configuration": {name: getattr(release, name) for name in _CONFIGURATION},
        },
    }
