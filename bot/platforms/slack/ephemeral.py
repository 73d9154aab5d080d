"""What one person alone reads: by the response URL of what they did, else as an ephemeral message, else in their DM."""

import logging
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from bot.core.clock import Clock
from bot.core.replies import Reply
from bot.platforms.slack.messages import ReplyTransform, render_blocks, render_fallback_text, split_reply
from bot.platforms.slack.web_api import CallRefused, CallUnclear, SlackWebApi

log = logging.getLogger(__name__)

MAX_RESPONSE_URL_USES = 5
RESPONSE_URL_LIFETIME_SECONDS = 1800.0
"""A response URL is good for five answers in thirty minutes: docs.slack.dev/interactivity/handling-user-interaction"""

_REMEMBERED = 5_000


@dataclass(slots=True)
class SlackResponseUrl:
    """One response URL, and what is left of it."""

    url: str = field(repr=False)
    expires_at: float
    uses_left: int = MAX_RESPONSE_URL_USES


@dataclass(frozen=True, slots=True)
class ReplyTarget:
    """Whom to tell, and where they are."""

    team: str
    channel: str
    user: str
    thread: str = ""
    response: SlackResponseUrl | None = None


class SlackEphemeralReplies:
    """Tells people; and remembers for a while who asked what, for what comes up later.

    `transform` rewrites the command names of a reply for the app's command prefix.
    """

    def __init__(self, calls: SlackWebApi, clock: Clock, transform: ReplyTransform) -> None:
        self._calls = calls
        self._clock = clock
        self.transform = transform
        self._asked: OrderedDict[str, ReplyTarget] = OrderedDict()

    def create_target(self, body: Mapping[str, Any], team: str, channel: str, thread: str = "") -> ReplyTarget:
        """From a command or a press."""
        url = str(body.get("response_url") or "")
        response = SlackResponseUrl(url, self._clock.monotonic() + RESPONSE_URL_LIFETIME_SECONDS) if url else None
        user = body.get("user_id") or (body.get("user") or {}).get("id") or ""
        return ReplyTarget(team, channel, str(user), thread, response)

    def remember(self, request_key: str, aside: ReplyTarget) -> None:
        self._asked[request_key] = aside
        while len(self._asked) > _REMEMBERED:
            self._asked.popitem(last=False)

    def take(self, request_key: str) -> ReplyTarget | None:
        """Who asked that; once."""
        return self._asked.pop(request_key, None)

    async def send(self, aside: ReplyTarget, reply: Reply, files: tuple[str, ...] = ()) -> bool:
        """Show a reply to one person. Gives whether it arrived; what did not is in the log."""
        told = True
        for part in split_reply(self.transform(reply)):
            told &= await self._tell(aside, part, files)
        return told

    async def delete_original(self, aside: ReplyTarget) -> None:
        """Take away what the person pressed a button on, which only they see."""
        if aside.response is not None:
            await self._send(aside.response, {"delete_original": True})

    async def _tell(self, aside: ReplyTarget, reply: Reply, files: tuple[str, ...]) -> bool:
        content = {
            "text": render_fallback_text(reply, is_for_one=True),
            "blocks": render_blocks(reply, files, is_for_one=True),
        }
        if await self._respond(aside, content):
            return True
        try:
            await self._post(aside, content)
        except (CallRefused, CallUnclear) as error:
            log.warning("slack.aside_lost", extra={"team": aside.team, "channel": aside.channel, "reason": str(error)})
            return False
        return True

    async def _post(self, aside: ReplyTarget, content: dict[str, Any]) -> None:
        if aside.channel.startswith("D"):
            await self._calls.call(
                aside.team, "chat.postMessage", channel=aside.channel, thread_ts=aside.thread or None,
                unfurl_links=False, unfurl_media=False, **content,
            )  # fmt: skip
            return
        try:
            await self._calls.call(
                aside.team, "chat.postEphemeral", channel=aside.channel, user=aside.user,
                thread_ts=aside.thread or None, **content,
            )  # fmt: skip
        except CallRefused as error:
            if error.code not in ("not_in_channel", "channel_not_found", "user_not_in_channel"):
                raise
            opened = await self._calls.call(aside.team, "conversations.open", users=aside.user)
            direct = replace(aside, channel=str(opened["channel"]["id"]), thread="")
            await self._post(direct, content)

    async def _respond(self, aside: ReplyTarget, content: dict[str, Any]) -> bool:
        """By the response URL, if it is still good for something."""
        response = aside.response
        if response is None or response.uses_left < 1 or self._clock.monotonic() > response.expires_at:
            return False
        body = {"response_type": "ephemeral", "replace_original": False, **content}
        if aside.thread:
            body["thread_ts"] = aside.thread
        return await self._send(response, body)

    async def _send(self, response: SlackResponseUrl, body: dict[str, Any]) -> bool:
        response.uses_left -= 1
        try:
            async with self._calls.session.post(
                response.url, json=body, timeout=aiohttp.ClientTimeout(total=10)
            ) as answer:
                if answer.status == 200:
                    return True
                log.info("slack.response_url_refused", extra={"status": answer.status})
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("slack.response_url_broke", extra={"reason": type(error).__name__})
        return False
