"""The HTTP side: each request is recorded, delayed, limited, checked against Discord's description, and answered."""

import asyncio
import json
import logging
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader, web

from tests.emulators.discord.calls import Answer, Call, Limited, Route
from tests.emulators.discord.faults import Fault
from tests.emulators.discord.posting import Upload
from tests.emulators.discord.rate_limits import Verdict, rounded_up
from tests.emulators.discord.records import Request
from tests.emulators.discord.refusals import (
    INVALID_JSON,
    NO_SUCH_ROUTE,
    UNAUTHORIZED,
    Refused,
    check,
)
from tests.emulators.discord.routes import account, channels, commands, guilds, interactions, messages, webhooks
from tests.specs.discord import operation_of, reply_faults, request_faults

if TYPE_CHECKING:
    from tests.emulators.discord.emulator import DiscordEmulator

ROUTES: dict[str, Route] = {
    **account.ROUTES,
    **channels.ROUTES,
    **commands.ROUTES,
    **guilds.ROUTES,
    **interactions.ROUTES,
    **messages.ROUTES,
    **webhooks.ROUTES,
}
"""By the id of the operation in Discord's description."""

log = logging.getLogger(__name__)

_WITHOUT_TOKEN = ("webhook_token", "interaction_token")
_FILE_FIELD = re.compile(r"files\[(\d+)\]")
_NOT_THE_BOTS_DOING = {"MESSAGE_REFERENCE_UNKNOWN_MESSAGE"}
"""Somebody deleted the message that the bot wants to answer."""

MOST_BYTES = 600 * 1024 * 1024


class HttpSide:
    """One handler for all of /api/v10."""

    def __init__(self, emulator: "DiscordEmulator") -> None:
        self._emulator = emulator

    async def handle(self, http: web.Request) -> web.StreamResponse:
        emulator = self._emulator
        path = "/" + http.match_info["path"]
        operation = operation_of(http.method, path)
        request = Request(http.method, path, operation.name if operation else "", None, emulator.clock.now())
        emulator.records.requests.append(request)
        body, files = await _read(http)
        request.body, request.filenames = body, tuple(upload.filename for upload in files.values())
        await asyncio.sleep(emulator.latency / 2)
        fault = emulator.faults.next_for(http.method, path)
        if fault and fault.delay:
            await asyncio.sleep(fault.delay)
        headers: dict[str, str] = {}
        if fault is None or fault.takes_effect:
            template = operation.template if operation else path
            parameters = _parameters(template, path)
            call = Call(emulator, request, parameters, http.query, None if body is _BROKEN else body, files)
            status, answer = self._answer(call, http, headers, is_broken=body is _BROKEN)
        if fault and fault.cuts:
            assert http.transport is not None
            http.transport.abort()
            return web.Response()
        if fault and fault.status:
            status, answer = _misfortune(fault, headers)
        await asyncio.sleep(emulator.latency / 2)
        is_planned = fault is not None and fault.status is not None
        return self._close(request, status, answer, headers, is_planned=is_planned)

    def _close(
        self, request: Request, status: int, answer: Any, headers: dict[str, str], *, is_planned: bool
    ) -> web.Response:
        records = self._emulator.records
        request.status, request.headers, request.answered_at = status, headers, self._emulator.clock.now()
        request.code = answer.get("code") if isinstance(answer, dict) and status >= 400 else None
        if status in (401, 403, 429) and headers.get("X-RateLimit-Scope") != "shared":
            records.invalid_requests += 1
        self._emulator.world.changes.happened()
        if self._emulator.checks_itself and not is_planned:
            self._check_itself(request, status, answer)
        if answer is None:
            return web.Response(status=status, headers=headers)
        if isinstance(answer, str):
            return web.Response(status=status, headers=headers | {"Content-Type": "text/html"}, text=answer)
        # With a charset, discord.py would take it for text.
        headers = headers | {"Content-Type": "application/json"}
        return web.Response(status=status, headers=headers, body=json.dumps(answer).encode())

    def _check_itself(self, request: Request, status: int, answer: Any) -> None:
        if request.operation and status != 501:
            # The description takes the codes of an error tree for integers; Discord's are words.
            told = {**answer, "errors": {}} if isinstance(answer, dict) and "errors" in answer else answer
            faults = reply_faults(request.method, request.path, status, body=told)
            self._emulator.own_faults += [f"{request.method} {request.path}: {fault}" for fault in faults]

    def _answer(self, call: Call, http: web.Request, headers: dict[str, str], *, is_broken: bool) -> Answer:
        emulator, request = self._emulator, call.request
        try:
            if not request.operation:
                emulator.records.violation(request, "there is no such operation")
                raise Refused(NO_SUCH_ROUTE)
            self._check_token(call, http.headers)
            verdict = emulator.rate_limits.take(request.operation, http.method, call.parameters)
            headers.update(verdict.headers)
            if verdict.retry_after is not None:
                return self._limited(call, verdict, headers)
            if is_broken:
                raise Refused(INVALID_JSON)
            self._check_shape(call, http)
            if request.operation not in ROUTES:
                emulator.records.violation(request, f"the emulator does not know {request.operation}")
                return 501, {"message": "501: Not Implemented", "code": 0}
            return ROUTES[request.operation](call)
        except Refused as refused:
            if is_broken:
                emulator.records.violation(request, refused.refusal.message)
            faults = [str(fault) for fault in refused.faults if fault.code not in _NOT_THE_BOTS_DOING]
            emulator.records.violation(request, faults)
            return refused.refusal.status, refused.body()
        except Limited as limited:
            verdict = Verdict(headers, limited.retry_after, "shared")
            return self._limited(call, verdict, headers, code=limited.code, message=limited.message)
        except Exception as error:
            # A 500 would be asked again, slowly: what broke here must be seen.
            log.exception("emulator.broke")
            emulator.records.violation(request, f"the emulator broke: {error!r}")
            return 501, {"message": "501: Not Implemented", "code": 0}

    def _check_token(self, call: Call, headers: Mapping[str, str]) -> None:
        if any(name in call.parameters for name in _WITHOUT_TOKEN) or call.request.operation == "get_gateway":
            return
        if headers.get("Authorization") != f"Bot {self._emulator.token}":
            raise Refused(UNAUTHORIZED)

    def _check_shape(self, call: Call, http: web.Request) -> None:
        kind = http.content_type if http.headers.get("Content-Type") else "application/json"
        faults = request_faults(http.method, call.request.path, query=call.query, body=call.body, content_type=kind)
        check([fault for fault in faults if fault.place not in _TOLERATED])

    def _limited(
        self,
        call: Call,
        verdict: Verdict,
        headers: dict[str, str],
        *,
        code: int = 0,
        message: str = "You are being rate limited.",
    ) -> Answer:
        assert verdict.retry_after is not None
        self._emulator.records.violation(call.request, f"caused a 429 ({verdict.scope})")
        headers.update(limit_headers(verdict.retry_after, verdict.scope))
        wait = float(rounded_up(verdict.retry_after))
        return 429, {"message": message, "code": code, "retry_after": wait, "global": verdict.scope == "global"}


_TOLERATED = {("with_components",), ("wait",)}
"""discord.py sends these where the description has no such parameter."""


def limit_headers(retry_after: float, scope: str) -> dict[str, str]:
    headers = {"Retry-After": str(math.ceil(retry_after)), "X-RateLimit-Scope": scope, "Via": "1.1 google"}
    return headers | ({"X-RateLimit-Global": "true"} if scope == "global" else {})


def _misfortune(fault: Fault, headers: dict[str, str]) -> Answer:
    if fault.retry_after is None:
        return int(fault.status or 500), fault.body if fault.body is not None else "<html>Bad gateway</html>"
    headers.update(limit_headers(fault.retry_after, "shared"))
    if not fault.with_via:
        del headers["Via"]
    body = {"message": "The resource is being rate limited.", "retry_after": fault.retry_after, "global": False}
    return 429, body | {"code": 0}


class _Broken:
    """A body that is no JSON."""


_BROKEN = _Broken()


def _parameters(template: str, path: str) -> dict[str, str]:
    names = re.findall(r"\{(\w+)\}", template)
    match = re.fullmatch(re.sub(r"\{\w+\}", "([^/]+)", template), path)
    return dict(zip(names, match.groups(), strict=True)) if match else {}


async def _read(http: web.Request) -> tuple[Any, dict[int, Upload]]:
    """JSON as such, or as the `payload_json` of a form with files."""
    if http.content_type == "multipart/form-data":
        return await _read_multipart(http)
    if http.content_type == "application/x-www-form-urlencoded":
        form = await http.post()
        return _parsed(str(form.get("payload_json", ""))), {}
    return _parsed(await http.text()), {}


async def _read_multipart(http: web.Request) -> tuple[Any, dict[int, Upload]]:
    body: Any = {}
    files: dict[int, Upload] = {}
    async for part in await http.multipart():
        assert isinstance(part, BodyPartReader)
        if part.name == "payload_json":
            body = _parsed(await part.text())
        elif match := _FILE_FIELD.fullmatch(part.name or ""):
            files[int(match[1])] = Upload(part.filename or "", bytes(await part.read()))
        else:
            return _BROKEN, {}
    return body, files


def _parsed(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return _BROKEN
