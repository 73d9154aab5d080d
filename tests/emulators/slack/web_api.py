"""POST /api/<method>: token, scopes, tier and arguments are checked, the method is asked, all of it is written down."""

import base64
import json
from typing import TYPE_CHECKING

from aiohttp import web

from tests.emulators.slack.faults import Fault
from tests.emulators.slack.journal import Call, Refused
from tests.emulators.slack.messages import Json
from tests.emulators.slack.methods.registry import METHODS, Asked
from tests.specs import slack as spec

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.workspace import Team

_WITHOUT_TOKEN = {"api.test", "oauth.v2.access"}
_CLIENT_ERRORS = {
    "cannot_provide_both_markdown_text_and_chunks", "invalid_arguments", "invalid_blocks", "invalid_chunks",
    "markdown_text_conflict", "missing_recipient_team_id", "missing_recipient_user_id", "no_text", "not_authed",
    "streaming_mode_mismatch",
}  # fmt: skip
"""Refusals that only a mistake in the app can bring: they are violations too."""


class WebApi:
    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["method"]
        args, token, warning = await _read(request)
        call = Call(name, args, token, "", self._slack.clock.now())
        self._slack.journal.calls.append(call)
        await self._slack.half_trip()
        fault = self._slack.faults.take(name)
        response = await self._answer(call, fault, warning)
        call.seconds = self._slack.clock.now() - call.at
        self._slack.changes.happened()
        await self._slack.half_trip()
        if fault and fault.cuts and request.transport:
            request.transport.abort()
        return response

    async def _answer(self, call: Call, fault: Fault | None, warning: str) -> web.Response:
        team: Team | None = None
        try:
            if fault and fault.delay_seconds:
                await self._slack.clock.sleep(fault.delay_seconds)
            if fault and fault.is_before_the_work:
                return self._failed(call, fault)
            team, answer = await self._work(call)
        except Refused as refusal:
            answer = {"ok": False, "error": refusal.error, **refusal.more}
            if refusal.error in _CLIENT_ERRORS:
                self._slack.journal.violated(
                    f"{call.method} was refused: {refusal.error} {refusal.more or ''}".rstrip()
                )
            self._check_error(call.method, refusal.error)
        if warning:
            answer |= {"warning": warning, "response_metadata": {"warnings": [warning]}}
        if answer.get("error") == "ratelimited":
            return self._too_many(call, answer.pop("retry_after"))
        call.answer, call.status = answer, 200
        scopes = {"x-oauth-scopes": ",".join(sorted(team.scopes))} if team else {}
        return web.json_response(answer, headers=scopes)

    async def _work(self, call: Call) -> tuple["Team | None", Json]:
        known = spec.method_of(call.method)
        if known is None or call.method not in METHODS:
            self._slack.journal.violated(f"{call.method} is no method that this Slack knows.")
            raise Refused("unknown_method", req_method=call.method)
        team = self._team(call)
        if team:
            call.team = team.id
            if known.scopes and not team.scopes & known.scopes:
                needed = sorted(known.scopes)[0]
                raise Refused("missing_scope", needed=needed, provided=",".join(sorted(team.scopes)))
        self._slack.tiers.count(call, known.tier)
        for fault in spec.call_faults(call.method, call.args):
            self._slack.journal.violated(f"{fault}.")
        if faults := spec.refused_arguments(call.method, call.args):
            messages = [f"[ERROR] {fault}" for fault in faults]
            raise Refused("invalid_arguments", response_metadata={"messages": messages})
        args = spec.as_meant(call.method, call.args)
        asked = Asked(self._slack, call, args, team)  # type: ignore[arg-type] # methods without a token ask no team
        return team, {"ok": True, **await METHODS[call.method](asked)}

    def _team(self, call: Call) -> "Team | None":
        """Whose token it is; None for methods that take none, or the app's own. Raises Refused."""
        if call.method in _WITHOUT_TOKEN:
            return None
        if call.method == "apps.connections.open":
            self._slack.tokens.check_app_token(call.token)
            return None
        return self._slack.tokens.team_of(call.token)

    def _check_error(self, name: str, error: str) -> None:
        """The emulator must not make up errors that Slack's own description of the method does not know."""
        known = spec.method_of(name)
        if known and error not in known.errors:
            self._slack.journal.violated(f"The emulator made it up: {name} never answers {error}.")

    def _failed(self, call: Call, fault: Fault) -> web.Response:
        if fault.status == 429:
            return self._too_many(call, fault.retry_after)
        if fault.error:
            call.answer, call.status = {"ok": False, "error": fault.error}, 200
            return web.json_response(call.answer)
        call.status = fault.status
        return web.Response(status=fault.status, text="<html>Server Error</html>", content_type="text/html")

    def _too_many(self, call: Call, retry_after: int) -> web.Response:
        call.answer, call.status = {"ok": False, "error": "ratelimited"}, 429
        self._slack.journal.too_many.append(call)
        return web.json_response(call.answer, status=429, headers={"retry-after": str(retry_after)})


async def _read(request: web.Request) -> tuple[Json, str, str]:
    """Arguments, token, and what Slack warns of."""
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
