"""The CDN: files of messages and of command options, under addresses that expire."""

from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from tests.emulators.discord.emulator import DiscordEmulator


GONE_TEXT = "This content is no longer available."


class DiscordFileServer:
    """Serves what `posting.store_file` kept."""

    def __init__(self, emulator: "DiscordEmulator") -> None:
        self._emulator = emulator
        self.served_paths: list[str] = []
        """Paths, in the order they were fetched."""
        self.forced_status: int | None = None
        """A status that every file is answered with, while set."""

    async def handle(self, http: web.Request) -> web.Response:
        self.served_paths.append(http.path)
        if self.forced_status is not None:
            return web.Response(status=self.forced_status, text=GONE_TEXT)
        file_id = http.match_info["file"]
        found = self._emulator.state.files.get(int(file_id)) if file_id.isdigit() else None
        signature = http.query.get("hm", "unsigned")
        if found is None or http.path not in found.url or signature not in found.url:
            return web.Response(status=404, text=GONE_TEXT)
        if int(http.query["ex"], 16) < self._emulator.clock.now():
            return web.Response(status=404, text=GONE_TEXT)
        return web.Response(body=found.data, content_type=found.content_type)
