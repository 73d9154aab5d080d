"""Sends replies to a single user: by a response URL, as an ephemeral message, or in the user's direct messages."""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp

from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.limits import MAX_SPLIT_ON_LOOP_CHARACTERS
from bot.core.replies import Reply
from bot.platforms.slack.errors import CallRefused, CallUnclear
from bot.platforms.slack.messages import ReplyTransform, render_blocks, render_fallback_text, split_reply
from bot.platforms.slack.web_api import SlackWebApi

log = logging.getLogger(__name__)

# A response URL takes five responses in thirty minutes (docs.slack.dev/interactivity/handling-user-interaction).
MAX_RESPONSE_URL_USES = 5
RESPONSE_URL_LIFETIME_SECONDS = 1800.0

_MAX_TARGETS = 5_000
_RESPONSE_SECONDS = 10


@dataclass(slots=True)
class SlackResponseUrl:
    """A response URL with its remaining uses. The URL is a secret."""

    url: str = field(repr=False)
    expires_at_seconds: float
    uses_left: int = MAX_RESPONSE_URL_USES


@dataclass(frozen=True, slots=True)
class ReplyTarget:
    """The user to reply to, and the place of the request."""

    team: str
    channel: str
    user: str
    thread: str = ""
    response: SlackResponseUrl | None = None


class SlackEphemeralReplies:
    """Sends replies to a single user, and remembers the targets of recent requests for later errors.

    `transform` rewrites the command names of a reply for the app's command prefix.
    """

    def __init__(self, web_api: SlackWebApi, clock: Clock, transform: ReplyTransform) -> None:
        self._web_api = web_api
        self._clock = clock
        self.transform = transform
        self._targets: RecentItems[str, ReplyTarget] = RecentItems(_MAX_TARGETS)

    def create_target(self, body: Mapping[str, Any], team: str, channel: str, thread: str = "") -> ReplyTarget:
        """Return the target of a command's or an interaction's payload."""
        url = str(body.get("response_url") or "")
        response = SlackResponseUrl(url, self._clock.monotonic() + RESPONSE_URL_LIFETIME_SECONDS) if url else None
        user = body.get("user_id") or (body.get("user") or {}).get("id") or ""
        return ReplyTarget(team, channel, str(user), thread, response)

    def remember(self, request_key: str, target: ReplyTarget) -> None:
        self._targets[request_key] = target

    def take(self, request_key: str) -> ReplyTarget | None:
        """Return and forget the target of a request."""
        return self._targets.pop(request_key, None)

    async def send(self, target: ReplyTarget, reply: Reply, files: tuple[str, ...] = ()) -> bool:
        """Send a reply to a single user; return whether all parts arrived. `files` are ids of the reply's pictures."""
        is_sent = True
        shown = self.transform(reply)
        is_long = len(shown.text) > MAX_SPLIT_ON_LOOP_CHARACTERS
        parts = await asyncio.to_thread(split_reply, shown) if is_long else split_reply(shown)
        for part in parts:
            is_sent &= await self._send_part(target, part, files)
        return is_sent

    async def delete_original(self, target: ReplyTarget) -> None:
        """Delete the ephemeral message of the pressed button."""
        if target.response is not None:
            await self._post_to_url(target.response, {"delete_original": True})

    async def _send_part(self, target: ReplyTarget, reply: Reply, files: tuple[str, ...]) -> bool:
        content = {
            "text": render_fallback_text(reply, is_for_one=True),
            "blocks": render_blocks(reply, files, is_for_one=True),
        }
        # Try the response URL first: a URL works in channels without the bot, too.
        if await self._respond(target, content):
            return True
        try:
            await self._post(target, content)
        except (CallRefused, CallUnclear) as error:
            facts = {"team": target.team, "channel": target.channel, "reason": str(error)}
            log.warning("slack.ephemeral_lost", extra=facts)
            return False
        return True

    async def _respond(self, target: ReplyTarget, content: dict[str, Any]) -> bool:
        """Send content to the response URL; return False if the URL is used up or expired, or refuses the content."""
        response = target.response
        if response is None or response.uses_left < 1 or self._clock.monotonic() > response.expires_at_seconds:
            return False
        body = {"response_type": "ephemeral", "replace_original": False, **content}
        if target.thread:
            body["thread_ts"] = target.thread
        return await self._post_to_url(response, body)

    async def _post_to_url(self, response_url: SlackResponseUrl, body: dict[str, Any]) -> bool:
        response_url.uses_left -= 1
        timeout = aiohttp.ClientTimeout(total=_RESPONSE_SECONDS)
        try:
            async with self._web_api.session.post(response_url.url, json=body, timeout=timeout) as response:
                if response.status == 200:
                    return True
                log.info("slack.response_url_refused", extra={"status": response.status})
        except (aiohttp.ClientError, TimeoutError) as error:
            log.info("slack.response_url_failed", extra={"reason": type(error).__name__})
        return False

    async def _post(self, target: ReplyTarget, content: dict[str, Any]) -> None:
        if target.channel.startswith("D"):
            await self._web_api.call(
                target.team, "chat.postMessage", channel=target.channel, thread_ts=target.thread or None,
                unfurl_links=False, unfurl_media=False, **content,
            )  # fmt: skip
            return
        try:
            await self._web_api.call(
                target.team, "chat.postEphemeral", channel=target.channel, user=target.user,
                thread_ts=target.thread or None, **content,
            )  # fmt: skip
        except CallRefused as error:
            if error.code not in ("not_in_channel", "channel_not_found", "user_not_in_channel"):
                raise
            opened = await self._web_api.call(target.team, "conversations.open", users=target.user)
            await self._post(replace(target, channel=str(opened["channel"]["id"]), thread=""), content)
