"""A webhook endpoint that records its requests."""

import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class WebhookReceiver:
    """Refuses the first `refusals` calls."""

    url: str = ""
    refusals: int = 0
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.calls.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        return web.Response(status=503 if len(self.calls) <= self.refusals else 200)

    @property
    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, body in self.calls]
