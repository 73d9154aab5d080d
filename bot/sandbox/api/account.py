"""The account routes: the sandbox's account, the list of hardware, and the signing key of webhooks."""

from aiohttp import web

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
