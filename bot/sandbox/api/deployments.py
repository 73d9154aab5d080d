"""Deployments: make, list, read, change, delete. Predictions through them are created in creating.py."""

from typing import Any

from aiohttp import web

from bot.sandbox.api.body import read_checked_object
from bot.sandbox.api.pages import paginate as page_of
from bot.sandbox.clock import format_timestamp
from bot.sandbox.deployments import SandboxDeployment, SandboxDeployments
from bot.sandbox.fields import InputField
from bot.sandbox.hardware import HARDWARE
from bot.sandbox.owner import ACCOUNT, ACCOUNT_NAME

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
    def __init__(self, deployments: SandboxDeployments) -> None:
        self.base_url = ""
        self._deployments = deployments

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/deployments", self._list),
            web.post("/v1/deployments", self._create),
            web.get("/v1/deployments/{owner}/{name}", self._get),
            web.patch("/v1/deployments/{owner}/{name}", self._update),
            web.delete("/v1/deployments/{owner}/{name}", self._delete),
        ]

    async def _list(self, request: web.Request) -> web.Response:
        return page_of(
            request,
            self.base_url,
            self._deployments.list_newest_first(),
            lambda deployment: deployment.full_name,
            _body,
        )

    async def _create(self, request: web.Request) -> web.Response:
        body = await read_checked_object(request, _NEW)
        version = self._deployments.find_version(body["model"], body["version"])
        configuration = {name: body[name] for name in _CONFIGURATION}
        return web.json_response(_body(self._deployments.add(ACCOUNT_NAME, body["name"], version, configuration)))

    async def _get(self, request: web.Request) -> web.Response:
        return web.json_response(_body(self._find(request)))

    async def _update(self, request: web.Request) -> web.Response:
        deployment = self._find(request)
        self._deployments.change(deployment, await read_checked_object(request, _CHANGES))
        return web.json_response(_body(deployment))

    async def _delete(self, request: web.Request) -> web.Response:
        self._deployments.remove(self._find(request))
        return web.Response(status=204)

    def _find(self, request: web.Request) -> SandboxDeployment:
        return self._deployments.find(f"{request.match_info['owner']}/{request.match_info['name']}")


def _body(deployment: SandboxDeployment) -> dict[str, Any]:
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
