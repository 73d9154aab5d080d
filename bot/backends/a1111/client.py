"""Calls `/sdapi/v1` of A1111 and Forge, one method for each call of the bot (their modules/api/api.py)."""

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import httpx

from bot.backends.run_errors import explain_error
from bot.backends.server import ServerApi, ServerReply
from bot.core.backend import BackendConfig
from bot.core.caches import TtlCache
from bot.core.clock import Clock
from bot.core.errors import BackendDown, BackendError, InputRefused
from bot.core.json import JSON, as_object, get_object, get_text

ROUTE_PREFIX = "/sdapi/v1/"

LIST_SECONDS = 5.0
"""The search of `demo` has 0.3 s for the schemas of several models, which need the same lists."""

_RUN_TIMEOUT = httpx.Timeout(None, connect=5.0, write=60.0)
"""The reply comes with the end of the run, however long the run waits and takes: `OwnedRuns` bounds the time."""


@dataclass(frozen=True, slots=True)
class A1111Progress:
    """The state of the run in the server's lock, of any client."""

    fraction: float
    is_running: bool
    task: str = ""
    """Forge's name of the run, given as `force_task_id` by the client; empty at A1111."""
    preview: bytes = b""


class A1111Client:
    """Typed calls of one server. All raise a `BackendError` with the server's name."""

    def __init__(self, config: BackendConfig, clock: Clock) -> None:
        # `--api-auth user:password` is basic authentication; a key of another form is a proxy's bearer token.
        is_basic = ":" in config.key
        self.api = ServerApi(replace(config, key="") if is_basic else config, clock)
        self.service = self.api.service
        self._key = config.key
        encoded = base64.b64encode(config.key.encode()).decode()
        self._headers = {"Authorization": f"Basic {encoded}"} if is_basic else {}
        self._lists: TtlCache[str, list[str]] = TtlCache(clock, LIST_SECONDS)

    async def run(self, route: str, body: Mapping[str, JSON], *, sent: asyncio.Event) -> JSON:
        """POST a run and return the reply to its end. `sent` is set once the server has the whole request.

        Raise `BackendDown` if the request surely did not arrive, `RunLost` if the reply never came.
        """
        content = json.dumps(body).encode()  # httpx's own encoder fails on half an emoji (a lone surrogate)
        headers = {**self._headers, "Content-Type": "application/json"}
        path = ROUTE_PREFIX + route
        async with self.api.stream(
            "POST", path, sent=sent, content=content, headers=headers, timeout=_RUN_TIMEOUT
        ) as response:
            reply = await self.api.read_reply(response)
        if reply.status != 200:
            raise self._read_error(reply)
        try:
            return reply.parse()
        except ValueError as error:
            raise BackendDown(f"{self.service} answers with something that is not JSON. Is its url right?") from error

    async def get_progress(self) -> A1111Progress:
        """GET progress, with the unfinished picture. stable-diffusion.cpp has no such route (404)."""
        body = await self._get("progress?skip_current_image=false")
        fraction, state = as_object(body).get("progress"), get_object(body, "state")
        count = state.get("job_count")
        is_number = isinstance(fraction, int | float) and not isinstance(fraction, bool)
        return A1111Progress(
            fraction=min(max(float(fraction), 0.0), 1.0) if is_number and isinstance(fraction, int | float) else 0.0,
            # −1 before the first step and for upscalers: the number of pictures is not known yet.
            is_running=isinstance(count, int) and count != 0,
            task=get_text(body, "current_task"),
            preview=_decode_preview(get_text(body, "current_image")),
        )

    async def interrupt(self) -> None:
        """POST interrupt: end the run in the server's lock, of any client."""
        await self.api.request_json("POST", f"{ROUTE_PREFIX}interrupt", headers=self._headers)

    async def list_checkpoints(self) -> list[str]:
        """GET sd-models: return the titles, such as `v1-5-pruned.safetensors [6ce0161689]`."""
        try:
            return await self._list_names("sd-models", "title")
        except InputRefused as error:  # 404: every server of this kind has the route, if started with --api
            raise BackendDown(f"{self.service} has no /sdapi/v1: it was started without --api.") from error

    async def list_upscalers(self) -> list[str]:
        """GET upscalers: return the names."""
        return [name for name in await self._list_names("upscalers", "name") if name != "None"]

    async def list_samplers(self) -> list[str]:
        """GET samplers: return the names."""
        return await self._list_names("samplers", "name")

    async def close(self) -> None:
        await self.api.close()

    async def _list_names(self, route: str, key: str) -> list[str]:
        return await self._lists.get(route, partial(self._fetch_names, route, key))

    async def _fetch_names(self, route: str, key: str) -> list[str]:
        body = await self._get(route)
        if not isinstance(body, list):
            raise BackendDown(f"{self.service} answers {route} with something else than a list.")
        return [name for item in body if (name := get_text(item, key))]

    async def _get(self, route: str) -> JSON:
        return await self.api.request_json("GET", ROUTE_PREFIX + route, headers=self._headers)

    def _read_error(self, reply: ServerReply) -> BackendError:
        """Return the error of a refused or failed run: `{error, detail, body, errors}`, with words in two of them."""
        error = self.api.read_error(reply)
        if reply.status not in (404, 422, 500):
            return error
        try:
            body = reply.parse()
        except ValueError:
            return error
        words = get_text(body, "detail") or get_text(body, "errors")
        if not words:
            return error
        # The server's words could quote the password, unknown to the shared client.
        reason = self.api.clean_reason(words.replace(self._key, "•••") if self._key else words)
        return explain_error(reason) if reply.status == 500 else InputRefused(f"{self.service} refuses this: {reason}.")


def decode_picture(text: str) -> bytes:
    """Return the bytes of a picture in base64, with or without the head of a data URL. Raise `ValueError`."""
    try:
        return base64.b64decode(text.rpartition(",")[2], validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error


def _decode_preview(text: str) -> bytes:
    try:
        return decode_picture(text)
    except ValueError:
        return b""
