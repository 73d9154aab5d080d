"""Whose token it is, the hardware list, and the key that webhooks are signed with."""

from aiohttp import web

from bot.sandbox.hardware import HARDWARE
from bot.sandbox.owner import ACCOUNT


class AccountRoutes:
    def __init__(self, webhook_secret: str) -> None:
        self._webhook_secret = webhook_secret

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/v1/account", self._account),
            web.get("/v1/hardware", self._hardware),
            web.get("/v1/webhooks/default/secret", self._secret),
        ]

    async def _account(self, _: web.Request) -> web.Response:
        return web.json_response(ACCOUNT)

    async def _hardware(self, _: web.Request) -> web.Response:
        return web.json_response([{"sku": sku, "name": name} for sku, name in HARDWARE.items()])

    async def _secret(self, _: web.Request) -> web.Response:
        return web.json_response({"key": self._webhook_secret})
