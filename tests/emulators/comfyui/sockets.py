"""The WebSockets of the stand-in: one for each client id; a second socket with the same id throws the first out."""

import json
from typing import Any

from aiohttp import WSMsgType, web
from PIL import Image

from tests.emulators.comfyui.runs import make_preview_frame


class ComfyUISockets:
    """Sends frames to the socket of a client. Nothing is kept for a client without a socket."""

    def __init__(self) -> None:
        self._sockets: dict[str, web.WebSocketResponse] = {}
        self._wants_metadata: set[str] = set()
        self.is_silent = False
        """Accept sockets, and send nothing: as servers do after hours."""
        self.opened = 0

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        client = request.query.get("clientId", "") or f"anonymous-{self.opened}"
        self.opened += 1
        self._sockets[client] = socket
        self._wants_metadata.discard(client)
        await self.send(client, {"type": "status", "data": {"status": {"exec_info": {}}, "sid": client}})
        is_first = True
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT and is_first:
                    self._read_flags(client, json.loads(message.data))
                is_first = False
        finally:
            if self._sockets.get(client) is socket:
                del self._sockets[client]
        return socket

    def has_client(self, client: str) -> bool:
        """Return whether a client has an open socket."""
        return client in self._sockets

    async def send(self, client: str, frame: dict[str, Any]) -> None:
        """Send a text frame to one client, if the client has a socket."""
        socket = self._sockets.get(client)
        if socket is not None and not self.is_silent:
            await _ignore_closed(socket.send_json(frame))

    async def send_to_all(self, frame: dict[str, Any]) -> None:
        for client in list(self._sockets):
            await self.send(client, frame)

    async def send_preview(self, client: str, picture: Image.Image, prompt_id: str, node: str) -> None:
        """Send a preview in the form that the client understands."""
        socket = self._sockets.get(client)
        if socket is None or self.is_silent:
            return
        metadata = {"node_id": node, "prompt_id": prompt_id} if client in self._wants_metadata else None
        await _ignore_closed(socket.send_bytes(make_preview_frame(picture, metadata)))

    async def close(self) -> None:
        """Break all sockets."""
        for socket in list(self._sockets.values()):
            await socket.close()
        self._sockets.clear()

    def _read_flags(self, client: str, frame: dict[str, Any]) -> None:
        if frame.get("type") == "feature_flags" and frame.get("data", {}).get("supports_preview_metadata"):
            self._wants_metadata.add(client)


async def _ignore_closed(sending: Any) -> None:
    try:
        await sending
    except (ConnectionError, RuntimeError):
        return
