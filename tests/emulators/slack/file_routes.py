"""The bytes of files: uploads to the promised URL, downloads for those who may."""

import secrets
from typing import TYPE_CHECKING

from aiohttp import web

from tests.emulators.slack.journal import SlackErrorResponse

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.files import SlackFileState

_LOGIN_PAGE = "<!DOCTYPE html><html><head><title>Sign in | Slack</title></head><body>Sign in</body></html>"


class SlackFileServer:
    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack
        self._uploads: dict[str, SlackFileState] = {}

    def issue_upload_url(self, file: "SlackFileState") -> str:
        ticket = secrets.token_urlsafe(18)
        self._uploads[ticket] = file
        return f"{self._slack.url}/upload/v1/{ticket}"

    async def upload(self, request: web.Request) -> web.Response:
        """Raw bytes, or a form with one file."""
        await self._slack.wait_half_round_trip()
        file = self._uploads.pop(request.match_info["ticket"], None)
        if file is None:
            return web.Response(status=404, text="not found")
        if "authorization" in request.headers:
            self._slack.request_log.record_violation("An upload carried a token, which its URL does not want.")
        content = await request.read()
        if request.content_type == "multipart/form-data":
            form = await request.post()
            (part,) = [value for value in form.values() if isinstance(value, web.FileField)]
            content = part.file.read()
        if len(content) != file.size_bytes:
            self._slack.request_log.record_violation(
                f"An upload has {len(content)} bytes, where {file.size_bytes} were promised."
            )
            return web.Response(status=400, text="length mismatch")
        file.content, file.is_uploaded = content, True
        await self._slack.wait_half_round_trip()
        return web.Response(text=f"OK - {len(content)}")

    async def download(self, request: web.Request) -> web.Response:
        """The bytes, with the app's token and its scope; else Slack's page to sign in, with 200."""
        await self._slack.wait_half_round_trip()
        team_id, _, file_id = request.match_info["file"].partition("-")
        team = next((team for team in self._slack.teams if team.id == team_id), None)
        file = team.files.get(file_id) if team else None
        try:
            asking = self._slack.tokens.find_team(request.headers.get("authorization", "").removeprefix("Bearer "))
        except SlackErrorResponse:
            asking = None
        if file is None or asking is not team or "files:read" not in file.team.scopes or not file.is_visible_to_bot():
            return web.Response(text=_LOGIN_PAGE, content_type="text/html")
        if file.is_deleted:
            return web.Response(status=404, text="not found")
        return web.Response(body=file.content, content_type=file.mimetype or "application/octet-stream")
