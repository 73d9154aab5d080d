"""Serves the REST API: records, delays, limits and validates each request, then calls the route."""

import asyncio
import json
import logging
import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import BodyPartReader, web

from tests.emulators.discord.errors import (
    INVALID_JSON,
    NO_SUCH_ROUTE,
    UNAUTHORIZED,
    DiscordErrorResponse,
    raise_if_invalid,
)
from tests.emulators.discord.faults import DiscordFault
from tests.emulators.discord.files import DiscordFileUpload
from tests.emulators.discord.rate_limits import DiscordRateLimitDecision, round_up_to_milliseconds
from tests.emulators.discord.request_context import (
    DiscordRateLimitResponse,
    DiscordRequestContext,
    RouteHandler,
    RouteResponse,
)
from tests.emulators.discord.request_log import DiscordRequestRecord
from tests.emulators.discord.routes import account, channels, commands, guilds, interactions, messages, webhooks
from tests.specs.discord import find_operation, validate_request, validate_response

if TYPE_CHECKING:
    from tests.emulators.discord.emulator import DiscordEmulator


ROUTES: dict[str, RouteHandler] = {
    **account.ROUTES,
    **channels.ROUTES,
    **commands.ROUTES,
    **guilds.ROUTES,
    **interactions.ROUTES,
    **messages.ROUTES,
    **webhooks.ROUTES,
}
"""Route handlers by the operation's id in Discord's description."""

log = logging.getLogger(__name__)

_WITHOUT_TOKEN = ("webhook_token", "interaction_token")
_FILE_FIELD = re.compile(r"files\[(\d+)\]")
_IGNORED_CODES = {"MESSAGE_REFERENCE_UNKNOWN_MESSAGE"}
"""An unknown reference is no violation: a person may have deleted the message before the bot replies."""

MAX_REQUEST_BYTES = 600 * 1024 * 1024


class DiscordApiServer:
    """Handles all of /api/v10."""

    def __init__(self, emulator: "DiscordEmulator") -> None:
        self._emulator = emulator

    async def handle(self, http: web.Request) -> web.StreamResponse:
        emulator = self._emulator
        path = "/" + http.match_info["path"]
        operation = find_operation(http.method, path)
        request = DiscordRequestRecord(
            http.method, path, operation.name if operation else "", None, emulator.clock.now()
        )
        emulator.request_log.requests.append(request)
        body, files = await _read(http)
        request.body, request.filenames = body, tuple(upload.filename for upload in files.values())
        await asyncio.sleep(emulator.latency_seconds / 2)
        fault = emulator.faults.take(http.method, path)
        if fault and fault.delay_seconds:
            await asyncio.sleep(fault.delay_seconds)
        headers: dict[str, str] = {}
        if fault is None or fault.takes_effect:
            template = operation.template if operation else path
            parameters = _parse_path_parameters(template, path)
            context = DiscordRequestContext(
                emulator, request, parameters, http.query, None if body is _BROKEN else body, files
            )
            status, content = self._respond(context, http, headers, is_broken=body is _BROKEN)
        if fault and fault.drops_connection:
            assert http.transport is not None
            http.transport.abort()
            return web.Response()
        if fault and fault.status:
            status, content = _build_fault_response(fault, headers)
        await asyncio.sleep(emulator.latency_seconds / 2)
        is_planned = fault is not None and fault.status is not None
        return self._finish_response(request, status, content, headers, is_planned=is_planned)

    def _finish_response(
        self, request: DiscordRequestRecord, status: int, content: Any, headers: dict[str, str], *, is_planned: bool
    ) -> web.Response:
        records = self._emulator.request_log
        request.status, request.headers, request.responded_at = status, headers, self._emulator.clock.now()
        request.code = content.get("code") if isinstance(content, dict) and status >= 400 else None
        if status in (401, 403, 429) and headers.get("X-RateLimit-Scope") != "shared":
            records.invalid_requests += 1
        self._emulator.state.changes.notify()
        if self._emulator.validates_responses and not is_planned:
            self._validate_response(request, status, content)
        if content is None:
            return web.Response(status=status, headers=headers)
        if isinstance(content, str):
            return web.Response(status=status, headers=headers | {"Content-Type": "text/html"}, text=content)
        # discord.py compares the content type with `application/json`: with a charset, the body would stay text.
        headers = headers | {"Content-Type": "application/json"}
        return web.Response(status=status, headers=headers, body=json.dumps(content).encode())

    def _validate_response(self, request: DiscordRequestRecord, status: int, content: Any) -> None:
        if request.operation and status != 501:
            # The description declares the codes of an error tree as integers; Discord sends words.
            checked_body = {**content, "errors": {}} if isinstance(content, dict) and "errors" in content else content
            violations = validate_response(request.method, request.path, status, body=checked_body)
            self._emulator.response_violations += [
                f"{request.method} {request.path}: {violation}" for violation in violations
            ]

    def _respond(
        self, context: DiscordRequestContext, http: web.Request, headers: dict[str, str], *, is_broken: bool
    ) -> RouteResponse:
        emulator, request = self._emulator, context.request
        try:
            if not request.operation:
                emulator.request_log.record_violation(request, "there is no such operation")
                raise DiscordErrorResponse(NO_SUCH_ROUTE)
            self._check_token(context, http.headers)
            decision = emulator.rate_limits.take(request.operation, http.method, context.parameters)
            headers.update(decision.headers)
            if decision.retry_after is not None:
                return self._respond_rate_limited(context, decision, headers)
            if is_broken:
                raise DiscordErrorResponse(INVALID_JSON)
            self._check_shape(context, http)
            if request.operation not in ROUTES:
                emulator.request_log.record_violation(request, f"the emulator does not know {request.operation}")
                return 501, {"message": "501: Not Implemented", "code": 0}
            return ROUTES[request.operation](context)
        except DiscordErrorResponse as refused:
            if is_broken:
                emulator.request_log.record_violation(request, refused.error_code.message)
            violations = [str(violation) for violation in refused.violations if violation.code not in _IGNORED_CODES]
            emulator.request_log.record_violation(request, violations)
            return refused.error_code.status, refused.to_json()
        except DiscordRateLimitResponse as limited:
            decision = DiscordRateLimitDecision(headers, limited.retry_after, "shared")
            return self._respond_rate_limited(context, decision, headers, code=limited.code, message=limited.message)
        except Exception as error:
            # discord.py would retry a 500 slowly: 501 makes an error of the emulator visible at once.
            log.exception("emulator.broke")
            emulator.request_log.record_violation(request, f"the emulator broke: {error!r}")
            return 501, {"message": "501: Not Implemented", "code": 0}

    def _check_token(self, context: DiscordRequestContext, headers: Mapping[str, str]) -> None:
        if any(name in context.parameters for name in _WITHOUT_TOKEN) or context.request.operation == "get_gateway":
            return
        if headers.get("Authorization") != f"Bot {self._emulator.token}":
            raise DiscordErrorResponse(UNAUTHORIZED)

    def _check_shape(self, context: DiscordRequestContext, http: web.Request) -> None:
        kind = http.content_type if http.headers.get("Content-Type") else "application/json"
        violations = validate_request(
            http.method, context.request.path, query=context.query, body=context.body, content_type=kind
        )
        raise_if_invalid([violation for violation in violations if violation.path not in _IGNORED_PARAMETERS])

    def _respond_rate_limited(
        self,
        context: DiscordRequestContext,
        decision: DiscordRateLimitDecision,
        headers: dict[str, str],
        *,
        code: int = 0,
        message: str = "You are being rate limited.",
    ) -> RouteResponse:
        assert decision.retry_after is not None
        self._emulator.request_log.record_violation(context.request, f"caused a 429 ({decision.scope})")
        headers.update(build_rate_limit_headers(decision.retry_after, decision.scope))
        wait = float(round_up_to_milliseconds(decision.retry_after))
        return 429, {"message": message, "code": code, "retry_after": wait, "global": decision.scope == "global"}


_IGNORED_PARAMETERS = {("with_components",), ("wait",)}
"""discord.py sends these parameters although the description does not list them."""


def build_rate_limit_headers(retry_after: float, scope: str) -> dict[str, str]:
    headers = {"Retry-After": str(math.ceil(retry_after)), "X-RateLimit-Scope": scope, "Via": "1.1 google"}
    return headers | ({"X-RateLimit-Global": "true"} if scope == "global" else {})


def _build_fault_response(fault: DiscordFault, headers: dict[str, str]) -> RouteResponse:
    if fault.retry_after is None:
        return int(fault.status or 500), fault.body if fault.body is not None else "<html>Bad gateway</html>"
    headers.update(build_rate_limit_headers(fault.retry_after, "shared"))
    if not fault.has_via_header:
        del headers["Via"]
    body = {"message": "The resource is being rate limited.", "retry_after": fault.retry_after, "global": False}
    return 429, body | {"code": 0}


class _Broken:
    """Marks a request body that is not valid JSON."""


_BROKEN = _Broken()


def _parse_path_parameters(template: str, path: str) -> dict[str, str]:
    names = re.findall(r"\{(\w+)\}", template)
    match = re.fullmatch(re.sub(r"\{\w+\}", "([^/]+)", template), path)
    return dict(zip(names, match.groups(), strict=True)) if match else {}


async def _read(http: web.Request) -> tuple[Any, dict[int, DiscordFileUpload]]:
    """Return the parsed body and the files; in a form, the body is the field `payload_json`."""
    if http.content_type == "multipart/form-data":
        return await _read_multipart(http)
    if http.content_type == "application/x-www-form-urlencoded":
        form = await http.post()
        return _parse_json(str(form.get("payload_json", ""))), {}
    return _parse_json(await http.text()), {}


async def _read_multipart(http: web.Request) -> tuple[Any, dict[int, DiscordFileUpload]]:
    body: Any = {}
    files: dict[int, DiscordFileUpload] = {}
    async for part in await http.multipart():
        assert isinstance(part, BodyPartReader)
        if part.name == "payload_json":
            body = _parse_json(await part.text())
        elif match := _FILE_FIELD.fullmatch(part.name or ""):
            files[int(match[1])] = DiscordFileUpload(part.filename or "", bytes(await part.read()))
        else:
            return _BROKEN, {}
    return body, files


def _parse_json(text: str) -> Any:
    if not text:
        return None
    try:
        return json.loads(text)
    except ValueError:
        return _BROKEN
