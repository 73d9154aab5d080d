"""Files: uploads under issued URLs, processing, sharing, and downloads with a token."""

import mimetypes
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiohttp import web

from tests.emulators.slack.request_log import SlackErrorResponse

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.messages import SlackMessageState
    from tests.emulators.slack.state import SlackTeamState


@dataclass(eq=False)
class SlackFileState:
    """A file. `is_uploaded` is True once the bytes are stored; `completed_at` is in seconds of Slack's clock."""

    team: "SlackTeamState"
    id: str
    name: str
    size_bytes: int
    owner_id: str
    alt_text: str = ""
    title: str = ""
    content: bytes = b""
    is_uploaded: bool = False
    completed_at: float | None = None
    is_deleted: bool = False
    shares: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Tuples of channel id, message ts and thread ts."""
    was_attached_to_form: bool = False
    """True if a person attached the file to a form of the app; the app can read such files."""
    is_canvas: bool = False
    """`content` is then the Markdown of the canvas, which the file's address does not serve."""

    @property
    def mimetype(self) -> str:
        """Return the type; empty until Slack has processed the file."""
        if self.is_canvas:
            return "application/vnd.slack-docs"
        return (mimetypes.guess_type(self.name)[0] or "application/octet-stream") if self.is_processed else ""

    @property
    def is_processed(self) -> bool:
        slack = self.team.slack
        done_at = None if self.completed_at is None else self.completed_at + slack.options.lifetimes.processing_seconds
        return done_at is not None and slack.clock.now() >= done_at

    def share(self, message: "SlackMessageState") -> None:
        """Record that a message shows the file."""
        share = (message.channel.id, message.ts, message.thread_ts)
        if share not in self.shares:
            self.shares.append(share)

    def is_visible_to_bot(self) -> bool:
        channels = [self.team.channels[channel] for channel, _, _ in self.shares]
        return (
            self.was_attached_to_form
            or self.owner_id == self.team.bot_user_id
            or any(place.has_bot for place in channels)
        )

    def to_json(self) -> dict[str, Any]:
        address = f"{self.team.slack.url}/files-pri/{self.team.id}-{self.id}/"
        payload: dict[str, Any] = {
            "id": self.id, "created": int(self.team.slack.clock.get_epoch_seconds()), "name": self.name,
            "title": self.title or self.name, "mimetype": self.mimetype,
            "filetype": self.name.rpartition(".")[2] if self.is_processed else "", "user": self.owner_id,
            "user_team": self.team.id, "size": self.size_bytes, "mode": "hosted", "is_external": False,
            "is_public": False, "file_access": "visible", "url_private": f"{address}{self.name}",
            "url_private_download": f"{address}download/{self.name}",
            "permalink": f"{self.team.slack.url}/files/{self.owner_id}/{self.id}/{self.name}",
        }  # fmt: skip
        payload |= {"filetype": "quip", "mode": "quip"} if self.is_canvas else {}
        return payload | ({"alt_txt": self.alt_text} if self.alt_text else {})

    def shares_to_json(self) -> dict[str, Any]:
        """Return the shares, as only files.info lists them; empty until Slack has processed the file."""
        payload: dict[str, Any] = {}
        for channel_id, ts, thread_ts in self.shares if self.is_processed else ():
            channel = self.team.channels[channel_id]
            kind = payload.setdefault("private" if channel.is_private else "public", {})
            share = {"ts": ts, "channel_name": channel.name, "team_id": self.team.id, "reply_users": []}
            kind.setdefault(channel_id, []).append(share | ({"thread_ts": thread_ts} if thread_ts else {}))
        return payload


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
        """Store raw bytes, or the single file of a form."""
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
        """Return the bytes for a valid token with the scope files:read, else Slack's login page with status 200."""
        await self._slack.wait_half_round_trip()
        team_id, _, file_id = request.match_info["file"].partition("-")
        team = next((team for team in self._slack.teams if team.id == team_id), None)
        file = team.files.get(file_id) if team else None
        try:
            caller_team = self._slack.tokens.find_team(request.headers.get("authorization", "").removeprefix("Bearer "))
        except SlackErrorResponse:
            caller_team = None
        if (
            file is None
            or caller_team is not team
            or "files:read" not in file.team.scopes
            or not file.is_visible_to_bot()
        ):
            return web.Response(text=_LOGIN_PAGE, content_type="text/html")
        if file.is_deleted:
            return web.Response(status=404, text="not found")
        if file.is_canvas:
            return web.Response(text="<html><body>A canvas</body></html>", content_type="text/html")
        return web.Response(body=file.content, content_type=file.mimetype or "application/octet-stream")
