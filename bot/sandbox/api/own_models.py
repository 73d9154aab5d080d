"""Models of the account: make one, change its page, delete its versions and itself."""

from typing import Any

from aiohttp import web

from bot.sandbox.api.body import read_checked_object
from bot.sandbox.api.model_bodies import LINKS, ModelBodies
from bot.sandbox.catalogue import SandboxCatalogue
from bot.sandbox.clock import SandboxClock
from bot.sandbox.deployments import SandboxDeployments
from bot.sandbox.fields import InputField
from bot.sandbox.hardware import HARDWARE
from bot.sandbox.listing import SandboxModelPage
from bot.sandbox.owner import ACCOUNT_NAME
from bot.sandbox.problems import Problem, make_not_found
from bot.sandbox.store import SandboxPredictionStore

_LINK_FIELDS = tuple(InputField(name, "string") for name in LINKS)
_NEW = (
    InputField("owner", "string", required=True),
    InputField("name", "string", required=True),
    InputField("visibility", "string", required=True, choices=("public", "private")),
    InputField("hardware", "string", required=True, choices=tuple(HARDWARE)),
    InputField("description", "string"),
    *_LINK_FIELDS,
)
_CHANGES = (
    InputField("description", "string"),
    InputField("readme", "string"),
    InputField("weights_url", "string"),
    *_LINK_FIELDS[:-1],  # the document does not let the cover be changed
)


class ModelWriteRoutes:
    """Who may do what is the document's; the codes and words of the refusals are the sandbox's own guess."""

    def __init__(
        self,
        clock: SandboxClock,
        catalogue: SandboxCatalogue,
        deployments: SandboxDeployments,
        store: SandboxPredictionStore,
        bodies: ModelBodies,
    ) -> None:
        self._clock = clock
        self._catalogue = catalogue
        self._deployments = deployments
        self._store = store
        self._bodies = bodies

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/v1/models", self._create),
            web.patch("/v1/models/{owner}/{name}", self._update),
            web.delete("/v1/models/{owner}/{name}", self._delete),
            web.delete("/v1/models/{owner}/{name}/versions/{id}", self._delete_version),
        ]

    async def _create(self, request: web.Request) -> web.Response:
        body = await read_checked_object(request, _NEW)
        if body["owner"] != ACCOUNT_NAME:
            raise Problem(403, f"You can only create models as {ACCOUNT_NAME}.")
        page = SandboxModelPage(
            ACCOUNT_NAME,
            body["name"],
            body.get("description", ""),
            self._clock.now(),
            body["visibility"],
            links=_links(body),
        )
        if page.full_name in self._catalogue:
            raise Problem(409, "A model with that name and owner already exists")
        self._catalogue.add(page)
        return web.json_response(self._bodies.build_model(page), status=201)

    async def _update(self, request: web.Request) -> web.Response:
        page = self._own(request)
        body = await read_checked_object(request, _CHANGES)
        page.description = body.get("description", page.description)
        page.readme = body.get("readme", page.readme)
        page.links |= _links(body)
        return web.json_response(self._bodies.build_model(page))

    async def _delete(self, request: web.Request) -> web.Response:
        page = self._private(request)
        if page.versions:
            raise Problem(400, "You can only delete models that have no versions associated with them.")
        self._catalogue.remove(page)
        return web.Response(status=204)

    async def _delete_version(self, request: web.Request) -> web.Response:
        """Its predictions go with it."""
        page = self._private(request)
        version = page.find_version(request.match_info["id"])
        if version is None:
            raise make_not_found()
        if self._deployments.has_version(version.id):
            raise Problem(400, "You cannot delete a version if it has an associated deployment.")
        page.versions.remove(version)
        self._store.forget_version(version.id)
        return web.Response(status=202)

    def _own(self, request: web.Request) -> SandboxModelPage:
        page = self._catalogue.find(f"{request.match_info['owner']}/{request.match_info['name']}")
        if page.owner != ACCOUNT_NAME:
            raise Problem(403, "You can only change models you own.")
        return page

    def _private(self, request: web.Request) -> SandboxModelPage:
        page = self._own(request)
        if page.visibility != "private":
            raise Problem(400, "You can only delete private models and their versions.")
        return page


def _links(body: dict[str, Any]) -> dict[str, str]:
    return {name: body[name] for name in LINKS if name in body}
