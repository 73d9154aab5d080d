"""ComfyUI's routes, one method for each call of the bot."""

import asyncio
import json
import logging
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import quote, urlencode

import aiohttp
import httpx

from bot.backends import http
from bot.backends.comfyui.errors import is_too_old, make_too_old_error, read_refusal
from bot.backends.comfyui.outputs import ComfyUIFile, ComfyUIRun, read_run
from bot.backends.server import ServerApi, ServerReply
from bot.core.backend import BackendConfig
from bot.core.clock import Clock
from bot.core.errors import BackendDown, BackendError, RunLost, SubmitUnclear
from bot.core.json import JSON, as_object, get_object, get_text
from bot.core.limits import MAX_SOCKET_FRAME_BYTES

log = logging.getLogger(__name__)

UPLOAD_FOLDER = "easel"
"""The folder of the bot's uploads among the server's inputs."""

# The reply to a prompt comes after the validation, for which a custom node may read large files.
_TIMEOUT = httpx.Timeout(60.0, connect=5.0)
_SOCKET_SECONDS = 10.0
_HEARTBEAT_SECONDS = 30.0

# The same run of ours has the same id at the server, also after a crash.
_NAMESPACE = uuid.UUID("5b4b1d0e-6f0e-5d57-9a0c-0d9f4b1a2c3e")


def make_prompt_id(run: str) -> str:
    """Return the server's id for a run of ours: a canonical UUID, as the server demands."""
    return str(uuid.uuid5(_NAMESPACE, run))


@dataclass(frozen=True, slots=True)
class QueuePlace:
    """The place of a run that has not ended: `position` 0 runs now, 1 is next."""

    position: int


class ComfyUIClient:
    """Typed calls. All raise a `BackendError` for a refusal."""

    def __init__(self, config: BackendConfig, clock: Clock) -> None:
        self.config = config
        self.api = ServerApi(config, clock, timeout=_TIMEOUT)
        self._session: aiohttp.ClientSession | None = None
        self._is_version_good = False

    async def get_stats(self) -> dict[str, JSON]:
        """GET /system_stats: `{system: {comfyui_version, …}, devices: […]}`."""
        return as_object(await self.api.request_json("GET", "/system_stats"))

    async def check_version(self) -> None:
        """Raise `BackendDown` for a server that ignores our ids: a repeated create would run twice."""
        if not self._is_version_good:
            stats = await self.get_stats()
            if is_too_old(get_text(get_object(stats, "system"), "comfyui_version")):
                raise make_too_old_error()
            self._is_version_good = True

    async def submit(self, graph: Mapping[str, JSON], prompt_id: str, *, model: str, has_preview: bool) -> None:
        """POST /prompt. Raise `SubmitUnclear` if a broken call may have arrived, a `BackendError` for a refusal."""
        await self.check_version()
        # Without client_id the history lacks the outputs of cached nodes; the id of the run finds its socket again
        # after a restart of the bot.
        body: dict[str, JSON] = {"prompt": dict(graph), "prompt_id": prompt_id, "client_id": prompt_id}
        if has_preview:
            # Without the key the server falls back to its command line, which has no previews by default.
            body["extra_data"] = {"preview_method": "latent2rgb"}
        try:
            # httpx's own encoder fails on half an emoji (a lone surrogate).
            content, headers = json.dumps(body).encode(), {"Content-Type": "application/json"}
            sending = self.api.stream("POST", "/prompt", sent=asyncio.Event(), content=content, headers=headers)
            async with sending as response:
                reply = await self.api.read_reply(response)
        except RunLost as error:
            raise SubmitUnclear(str(error)) from error
        if reply.status == 400:
            raise read_refusal(_parse(reply), model)
        if reply.status >= 500:
            raise SubmitUnclear(f"HTTP {reply.status}")
        if not 200 <= reply.status < 300:
            raise self.api.read_error(reply)
        try:
            answer = reply.parse()
        except ValueError as error:
            raise SubmitUnclear("the reply is no JSON") from error
        await self._check_answer(answer, prompt_id, model)

    async def find_run(self, prompt_id: str) -> ComfyUIRun | QueuePlace | None:
        """Return an ended run, the place of an unfinished one, None for an id that the server does not know."""
        if (run := await self._find_ended(prompt_id)) is not None:
            return run
        if (place := await self._find_place(prompt_id)) is not None:
            return place
        # The run may have ended between the two looks.
        return await self._find_ended(prompt_id)

    async def cancel(self, prompt_id: str) -> None:
        """Stop exactly one run. Harmless for a run that has ended."""
        reply = await self.api.request("POST", f"/api/jobs/{quote(prompt_id, safe='')}/cancel")
        if 200 <= reply.status < 300:
            return
        if reply.status not in (404, 405):
            raise self.api.read_error(reply)
        # Before 0.26 there is no route for one job. `/interrupt` without an id would stop the run of a stranger.
        if await self._find_place(prompt_id) is not None:
            await self.api.request("POST", "/queue", json={"delete": [prompt_id]})
            await self.api.request("POST", "/interrupt", json={"prompt_id": prompt_id})

    async def forget(self, prompt_id: str) -> None:
        """POST /history: delete the entry of a run, which holds the person's words."""
        await self.api.request("POST", "/history", json={"delete": [prompt_id]})

    async def upload(self, name: str, content: bytes, mime: str) -> str:
        """POST /upload/image, for files of all kinds; return the name for a loading node, with its folder."""
        reply = await self.api.request_json(
            "POST",
            "/upload/image",
            files={"image": (name, content, mime)},
            data={"type": "input", "subfolder": UPLOAD_FOLDER},
        )
        # A different file of the same name makes the server choose another name.
        stored, folder = get_text(reply, "name"), get_text(reply, "subfolder")
        if not stored:
            raise BackendDown(f"{self.api.service} took a picture and named no file.")
        return f"{folder}/{stored}" if folder else stored

    async def download(self, file: ComfyUIFile, *, max_bytes: int) -> bytes | None:
        """GET /view with the key. Return None for a file that was deleted."""
        reply = await self.api.request("GET", f"/view?{file.query}", max_bytes=max_bytes)
        if reply.status in (404, 410):
            return None
        if not 200 <= reply.status < 300:
            raise self.api.read_error(reply)
        return reply.content

    def make_address(self, file: ComfyUIFile) -> str:
        """Return the address of a file, for servers without a key."""
        return f"{self.config.url}/view?{file.query}"

    async def get_class(self, name: str) -> dict[str, JSON] | None:
        """GET /object_info/{class}: return the inputs and outputs of one class, None for a missing class."""
        # The whole of /object_info has megabytes and makes the server scan its folders.
        found = await self.api.request_json("GET", f"/object_info/{quote(name, safe='')}")
        return get_object(found, name) or None

    @asynccontextmanager
    async def open_socket(self, client_id: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """GET /ws as one client. Raise `BackendDown` if the server opens no socket."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=http.create_context_for(self.config.url), limit=0), trust_env=False
            )
        address = f"{self.config.url}/ws?{urlencode({'clientId': client_id})}"
        headers = {"Authorization": f"Bearer {self.config.key}"} if self.config.key else {}
        try:
            async with asyncio.timeout(_SOCKET_SECONDS):
                socket = await self._session.ws_connect(
                    address, headers=headers, heartbeat=_HEARTBEAT_SECONDS, max_msg_size=MAX_SOCKET_FRAME_BYTES
                )
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise BackendDown(f"{self.api.service} opens no WebSocket.") from error
        try:
            yield socket
        finally:
            await socket.close()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
        await self.api.close()

    async def _check_answer(self, answer: JSON, prompt_id: str, model: str) -> None:
        """Raise if the server made another run than ours, or runs only a part of the workflow."""
        made = get_text(answer, "prompt_id")
        is_whole = not get_object(answer, "node_errors")
        if made == prompt_id and is_whole:
            return
        await self._cancel_quietly(made or prompt_id)
        raise make_too_old_error() if made and made != prompt_id else read_refusal(answer, model)

    async def _cancel_quietly(self, prompt_id: str) -> None:
        try:
            await self.cancel(prompt_id)
        except BackendError as error:
            log.warning("comfyui.cancel_failed", extra={"run": prompt_id, "reason": str(error)})

    async def _find_ended(self, prompt_id: str) -> ComfyUIRun | None:
        found = await self.api.request_json("GET", f"/history/{quote(prompt_id, safe='')}")
        entry = get_object(found, prompt_id)
        return read_run(prompt_id, entry) if entry else None

    async def _find_place(self, prompt_id: str) -> QueuePlace | None:
        # The queue holds the whole workflows of everybody who waits.
        queue = await self.api.request_json("GET", "/queue")
        running, pending = (_read_entries(queue, key) for key in ("queue_running", "queue_pending"))
        if any(name == prompt_id for _, name in running):
            return QueuePlace(0)
        for position, (_, name) in enumerate(sorted(pending), 1):
            if name == prompt_id:
                return QueuePlace(position)
        return None


def _parse(reply: ServerReply) -> JSON:
    try:
        return reply.parse()
    except ValueError:
        return None


def _read_entries(queue: JSON, key: str) -> list[tuple[float, str]]:
    """Return number and id of each entry. The server runs the lowest number first."""
    entries = as_object(queue).get(key)
    found: list[tuple[float, str]] = []
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, list) and len(entry) > 1 and isinstance(entry[1], str):
            number = entry[0]
            found.append((float(number) if isinstance(number, int | float) else 0.0, entry[1]))
    return found
