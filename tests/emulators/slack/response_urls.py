"""Response URLs: five answers within thirty minutes, also where the app is not a member.

docs.slack.dev/interactivity/handling-user-interaction
"""

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from tests.emulators.slack.blocks import block_faults
from tests.emulators.slack.messages import Json, Message

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.people import Person
    from tests.emulators.slack.workspace import Channel

_FIELDS = {
    "attachments", "blocks", "delete_original", "link_names", "markdown_text", "metadata", "mrkdwn", "parse",
    "replace_original", "response_type", "text", "thread_ts", "unfurl_links", "unfurl_media",
}  # fmt: skip


@dataclass(eq=False)
class ResponseUrl:
    """`original` is the message whose button was pressed."""

    person: "Person"
    channel: "Channel"
    original: Message | None
    at: float
    uses: int = 0


class ResponseUrls:
    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack
        self._urls: dict[str, ResponseUrl] = {}

    def issue(self, person: "Person", channel: "Channel", original: Message | None = None) -> str:
        token = secrets.token_urlsafe(18)
        self._urls[token] = ResponseUrl(person, channel, original, self._slack.clock.now())
        return f"{self._slack.url}/commands/{channel.team.id}/{token}"

    async def answer(self, request: web.Request) -> web.Response:
        await self._slack.half_trip()
        response = self._answer(request.match_info["token"], await request.text())
        await self._slack.half_trip()
        return response

    def _answer(self, token: str, body: str) -> web.Response:
        url, lifetimes = self._urls.get(token), self._slack.options.lifetimes
        if url is None or self._slack.clock.now() - url.at > lifetimes.response_url:
            return web.json_response({"ok": False, "error": "expired_url"}, status=404)
        if url.uses >= lifetimes.response_url_uses:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        try:
            told = json.loads(body)
        except ValueError:
            return web.Response(status=400, text="invalid_payload")
        url.uses += 1
        return self.put(url, told)

    def put(self, url: ResponseUrl, told: Json) -> web.Response:
        """Show what was answered, here or in an acknowledgement."""
        for name in told.keys() - _FIELDS:
            self._slack.journal.violated(f"response_url: unknown field {name}.")
        blocks = told.get("blocks") or []
        if faults := block_faults(blocks, url.channel.team, "message"):
            self._slack.journal.violated(f"response_url was refused: invalid_blocks {faults}.")
            return web.json_response({"ok": False, "error": "invalid_blocks"}, status=400)
        if told.get("delete_original"):
            self._delete(url)
        elif told.get("replace_original") and url.original:
            self._show(url.original, told, blocks)
        elif not told.get("text") and not blocks and not told.get("markdown_text") and not told.get("attachments"):
            return web.Response(status=400, text="no_text")
        else:
            self._post(url, told, blocks)
        return web.Response(text="ok")

    def _post(self, url: ResponseUrl, told: Json, blocks: list[Json]) -> None:
        team = url.channel.team
        stamp = self._slack.clock.stamp()
        message = Message(url.channel, stamp, team.bot_user, bot_id=team.bot_id, thread_ts=told.get("thread_ts"))
        if told.get("response_type", "ephemeral") != "in_channel":
            message.only_for = url.person.id
        message.text, message.blocks = told.get("text") or told.get("markdown_text") or "", blocks
        url.channel.add(message)
        if not message.only_for:
            self._slack.events.message(message)

    def _show(self, message: Message, told: Json, blocks: list[Json]) -> None:
        before = message.as_json()
        message.text, message.blocks = told.get("text") or told.get("markdown_text") or "", blocks
        message.edited_at = self._slack.clock.stamp()
        message.keep(self._slack.clock.now())
        if not message.only_for:
            self._slack.events.changed(message, before)

    def _delete(self, url: ResponseUrl) -> None:
        if url.original and not url.original.is_deleted:
            url.original.is_deleted = True
            url.original.keep(self._slack.clock.now())

    def put_acknowledgement(self, person: "Person", channel: "Channel", told: Json) -> None:
        """A command's acknowledgement may hold its first answer."""
        if told.get("text") or told.get("blocks"):
            self.put(ResponseUrl(person, channel, None, self._slack.clock.now()), told)
