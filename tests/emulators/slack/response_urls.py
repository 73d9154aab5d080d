"""Response URLs: five responses within thirty minutes, also in channels without the app.

Source: docs.slack.dev/interactivity/handling-user-interaction
"""

import json
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiohttp import web

from tests.emulators.slack.blocks import validate_blocks
from tests.emulators.slack.messages import Json, SlackMessageState

if TYPE_CHECKING:
    from tests.emulators.slack.emulator import SlackEmulator
    from tests.emulators.slack.people import SlackPerson
    from tests.emulators.slack.state import SlackChannelState


_FIELDS = {
    "attachments", "blocks", "delete_original", "link_names", "markdown_text", "metadata", "mrkdwn", "parse",
    "replace_original", "response_type", "text", "thread_ts", "unfurl_links", "unfurl_media",
}  # fmt: skip


@dataclass(eq=False)
class SlackResponseUrlState:
    """`original` is the message with the pressed button."""

    person: "SlackPerson"
    channel: "SlackChannelState"
    original: SlackMessageState | None
    issued_at: float
    use_count: int = 0


class SlackResponseUrlServer:
    def __init__(self, slack: "SlackEmulator") -> None:
        self._slack = slack
        self._urls: dict[str, SlackResponseUrlState] = {}

    def issue(
        self, person: "SlackPerson", channel: "SlackChannelState", original: SlackMessageState | None = None
    ) -> str:
        token = secrets.token_urlsafe(18)
        self._urls[token] = SlackResponseUrlState(person, channel, original, self._slack.clock.now())
        return f"{self._slack.url}/commands/{channel.team.id}/{token}"

    async def handle(self, request: web.Request) -> web.Response:
        await self._slack.wait_half_round_trip()
        response = self._respond(request.match_info["token"], await request.text())
        await self._slack.wait_half_round_trip()
        return response

    def _respond(self, token: str, body: str) -> web.Response:
        url, lifetimes = self._urls.get(token), self._slack.options.lifetimes
        if url is None or self._slack.clock.now() - url.issued_at > lifetimes.response_url_seconds:
            return web.json_response({"ok": False, "error": "expired_url"}, status=404)
        if url.use_count >= lifetimes.max_response_url_uses:
            return web.json_response({"ok": False, "error": "used_url"}, status=404)
        try:
            response = json.loads(body)
        except ValueError:
            return web.Response(status=400, text="invalid_payload")
        url.use_count += 1
        return self.apply_response(url, response)

    def apply_response(self, url: SlackResponseUrlState, response: Json) -> web.Response:
        """Show a response, sent to the URL or inside an acknowledgement."""
        for name in response.keys() - _FIELDS:
            self._slack.request_log.record_violation(f"response_url: unknown field {name}.")
        blocks = response.get("blocks") or []
        if violations := validate_blocks(blocks, url.channel.team, "message"):
            self._slack.request_log.record_violation(f"response_url was refused: invalid_blocks {violations}.")
            return web.json_response({"ok": False, "error": "invalid_blocks"}, status=400)
        if response.get("delete_original"):
            self._delete(url)
        elif response.get("replace_original") and url.original:
            self._show(url.original, response, blocks)
        elif (
            not response.get("text")
            and not blocks
            and not response.get("markdown_text")
            and not response.get("attachments")
        ):
            return web.Response(status=400, text="no_text")
        else:
            self._post(url, response, blocks)
        return web.Response(text="ok")

    def _post(self, url: SlackResponseUrlState, response: Json, blocks: list[Json]) -> None:
        team = url.channel.team
        stamp = self._slack.clock.next_timestamp()
        message = SlackMessageState(
            url.channel, stamp, team.bot_user_id, bot_id=team.bot_id, thread_ts=response.get("thread_ts")
        )
        if response.get("response_type", "ephemeral") != "in_channel":
            message.visible_to_user_id = url.person.id
        message.text, message.blocks = response.get("text") or response.get("markdown_text") or "", blocks
        url.channel.add_message(message)
        if not message.visible_to_user_id:
            self._slack.event_sender.send_message_posted(message)

    def _show(self, message: SlackMessageState, response: Json, blocks: list[Json]) -> None:
        before = message.to_json()
        message.text, message.blocks = response.get("text") or response.get("markdown_text") or "", blocks
        message.edited_at = self._slack.clock.next_timestamp()
        message.record_version(self._slack.clock.now())
        if not message.visible_to_user_id:
            self._slack.event_sender.send_message_changed(message, before)

    def _delete(self, url: SlackResponseUrlState) -> None:
        if url.original and not url.original.is_deleted:
            url.original.is_deleted = True
            url.original.record_version(self._slack.clock.now())

    def apply_acknowledgement(self, person: "SlackPerson", channel: "SlackChannelState", response: Json) -> None:
        """Show the response that a command's acknowledgement may contain."""
        if response.get("text") or response.get("blocks"):
            self.apply_response(SlackResponseUrlState(person, channel, None, self._slack.clock.now()), response)
