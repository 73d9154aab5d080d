"""Serves POST /api/<method>: checks token, scopes, tier and arguments, calls the method, records the call."""

import base64
import json
from typing import TYPE_CHECKING

from aiohttp import web

from tests.emulators.slack.faults import SlackFault
from tests.emulators.slack.messages import Json
from tests.emulators.slack.request_context import METHODS, SlackRequestContext
from tests.emulators.slack.request_log import SlackCallRecord, SlackErrorResponse
from tests.specs import slack as spec

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.state import SlackTeamState


_WITHOUT_TOKEN = {"api.test", "oauth.v2.access"}
_CLIENT_ERRORS = {
    "cannot_provide_both_markdown_text_and_chunks", "invalid_arguments", "invalid_blocks", "invalid_chunks",
    "markdown_text_conflict", "missing_recipient_team_id", "missing_recipient_user_id", "no_text", "not_authed",
    "streaming_mode_mismatch",
}  # fmt: skip
"""Errors that only a mistake of the app causes: each is a violation too."""


class SlackApiServer:
    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack

    async def handle(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        args, token, warning = await _read(request)
        call = SlackCallRecord(name, args, token, "", self._slack.clock.now())
        self._slack.request_log.calls.append(call)
        await self._slack.wait_half_round_trip()
        fault = self._slack.faults.take(name)
        response = await self._respond(call, fault, warning)
        call.duration_seconds = self._slack.clock.now() - call.received_at
        self._slack.changes.notify()
        await self._slack.wait_half_round_trip()
        if fault and fault.drops_connection and request.transport:
            request.transport.abort()
        return response

    async def _respond(self, call: SlackCallRecord, fault: SlackFault | None, warning: str) -> web.Response:
        team: SlackTeamState | None = None
        try:
            if fault and fault.delay_seconds:
                await self._slack.clock.sleep(fault.delay_seconds)
            if fault and fault.prevents_effect:
                return self._respond_fault(call, fault)
            team, content = await self._call_method(call)
        except SlackErrorResponse as error:
            content = {"ok": False, "error": error.error, **error.fields}
            if error.error in _CLIENT_ERRORS:
                self._slack.request_log.record_violation(
                    f"{call.method} was refused: {error.error} {error.fields or ''}".rstrip()
                )
            self._check_error(call.method, error.error)
        if warning:
            content |= {"warning": warning, "response_metadata": {"warnings": [warning]}}
        if content.get("error") == "ratelimited":
            return self._respond_rate_limited(call, content.pop("retry_after"))
        call.response, call.status = content, 200
        scopes = {"x-oauth-scopes": ",".join(sorted(team.scopes))} if team else {}
        return web.json_response(content, headers=scopes)

    async def _call_method(self, call: SlackCallRecord) -> tuple["SlackTeamState | None", Json]:
        description = spec.find_method(call.method)
        if description is None or call.method not in METHODS:
            self._slack.request_log.record_violation(f"{call.method} is no method that this Slack knows.")
            raise SlackErrorResponse("unknown_method", req_method=call.method)
        team = self._authenticate(call)
        if team:
            call.team_id = team.id
            if description.scopes and not team.scopes & description.scopes:
                needed = sorted(description.scopes)[0]
                raise SlackErrorResponse("missing_scope", needed=needed, provided=",".join(sorted(team.scopes)))
        self._slack.rate_limits.count(call, description.tier)
        for violation in spec.validate_call(call.method, call.args):
            self._slack.request_log.record_violation(f"{violation}.")
        if violations := spec.validate_arguments(call.method, call.args):
            messages = [f"[ERROR] {violation}" for violation in violations]
            raise SlackErrorResponse("invalid_arguments", response_metadata={"messages": messages})
        args = spec.parse_arguments(call.method, call.args)
        context = SlackRequestContext(self._slack, call, args, team)  # type: ignore[arg-type] # methods without a token use no team
        return team, {"ok": True, **await METHODS[call.method](context)}

    def _authenticate(self, call: SlackCallRecord) -> "SlackTeamState | None":
        """Return the token's workspace; None for methods without a token or with the app-level token. Raise
        `SlackErrorResponse` for an invalid token.
        """
        if call.method in _WITHOUT_TOKEN:
            return None
        if call.method == "apps.connections.open":
            self._slack.tokens.check_app_token(call.token)
            return None
        return self._slack.tokens.find_team(call.token)

    def _check_error(self, name: str, error: str) -> None:
        """Record errors of the emulator that Slack's description of the method does not list."""
        description = spec.find_method(name)
        if description and error not in description.errors:
            self._slack.request_log.record_violation(f"The emulator made it up: {name} never answers {error}.")

    def _respond_fault(self, call: SlackCallRecord, fault: SlackFault) -> web.Response:
        if fault.status == 429:
            return self._respond_rate_limited(call, fault.retry_after_seconds)
        if fault.error:
            call.response, call.status = {"ok": False, "error": fault.error}, 200
            return web.json_response(call.response)
        call.status = fault.status
        return web.Response(status=fault.status, text="<html>Server Error</html>", content_type="text/html")

    def _respond_rate_limited(self, call: SlackCallRecord, retry_after: int) -> web.Response:
        call.response, call.status = {"ok": False, "error": "ratelimited"}, 429
        self._slack.request_log.rate_limited_calls.append(call)
        return web.json_response(call.response, status=429, headers={"retry-after": str(retry_after)})


async def _read(request: web.Request) -> tuple[Json, str, str]:
    """Return the arguments, the token, and Slack's warning about the request ("" if none)."""
    args: Json = dict(request.query)
    content_type, warning = request.content_type, ""
    if content_type == "application/json":
        body = await request.text()
        args |= json.loads(body) if body else {}
        warning = "" if request.charset else "missing_charset"
    elif request.can_read_body:
        args |= {name: value for name, value in (await request.post()).items() if isinstance(value, str)}
    header = request.headers.get("authorization", "")
    token = str(args.pop("token", "") or "")
    if header.startswith("Basic "):
        client_id, _, client_secret = base64.b64decode(header.removeprefix("Basic ")).decode().partition(":")
        args |= {"client_id": client_id, "client_secret": client_secret}
    elif header:
        token = header.removeprefix("Bearer ")
    return args, token, warning
