"""Output files at unguessable addresses, like those of replicate.delivery: no token, gone after an hour."""

from aiohttp import web

from bot.sandbox.address import ServerAddress
from bot.sandbox.file_store import FileStore
from bot.sandbox.middlewares import allow_without_token
from bot.sandbox.model import OutputFile
from bot.sandbox.problems import make_not_found


class OutputFiles:
    def __init__(self, store: FileStore, address: ServerAddress) -> None:
        self._store = store
        self._address = address

    def deliver(self, file: OutputFile, name: str) -> str:
        """Store an output; return the address. `name` has no extension."""
        name = f"{name}.{file.extension}"
        key = self._store.put(file.content, name, file.content_type)
        return f"{self._address.url}/pbxt/{key}/{name}"

    def withdraw(self, url: str) -> None:
        """Expire an output now, as the hour would."""
        self._store.remove(url.split("/")[-2])

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/pbxt/{key}/{name}", self._get)]

    @allow_without_token
    async def _get(self, request: web.Request) -> web.StreamResponse:
        item = self._store.get(request.match_info["key"])
        if item is None or item.name != request.match_info["name"]:
            raise make_not_found()
        return web.FileResponse(item.path, headers={"Content-Type": item.content_type})
