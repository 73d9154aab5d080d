"""Finds messages posted without a confirmation: the response was lost, or the process died before storing
the message's address.
"""

import logging
from dataclasses import replace
from typing import Any

from bot.core.clock import Clock
from bot.core.platform import parse_job
from bot.core.replies import MessageRef
from bot.platforms.slack.errors import ignore_refusal
from bot.platforms.slack.installations import NAME, SlackTeams
from bot.platforms.slack.web_api import SlackWebApi
from bot.storage.database import Database

log = logging.getLogger(__name__)

METADATA_EVENT_TYPE = "easel_message"
_SEARCH_SECONDS = 60.0
_PAGE_SIZE = 100


class UnconfirmedPosts:
    """Finds messages by the nonce in the metadata, and streams, which start without metadata, by the text."""

    def __init__(self, web_api: SlackWebApi, teams: SlackTeams, database: Database, clock: Clock) -> None:
        self._web_api = web_api
        self._teams = teams
        self._database = database
        self._clock = clock
        self._started_at_seconds = clock.now().timestamp()

    async def is_from_previous_process(self, nonce: str) -> bool:
        """Return whether an earlier process accepted the job of a nonce, and so may have posted the message."""
        requested_at = await self._find_request_time(nonce)
        return requested_at is not None and requested_at < self._started_at_seconds

    async def find_post(self, thread: MessageRef, nonce: str) -> str:
        """Return the ts of the message with a nonce in a thread or channel; empty if there is none."""
        for message in await self._list_messages_since(thread, nonce):
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if nonce and payload.get("nonce") == nonce:
                return str(message["ts"])
        return ""

    async def find_stream(self, unposted: MessageRef, text: str) -> MessageRef | None:
        """Return the stream started earlier for an unposted message, or None.

        The stream is ours, has no metadata, shows a beginning of `text`, and belongs to no job of the database.
        """
        team = await self._teams.get(unposted.workspace)
        for message in await self._list_messages_since(unposted, unposted.id):
            shown = _keep_alphanumeric(str(message.get("text") or ""))
            is_ours = team is not None and message.get("bot_id") == team.bot_id and not message.get("metadata")
            if not (is_ours and shown and _keep_alphanumeric(text).startswith(shown)):
                continue
            async with self._database.read() as tx:
                if await tx.messages.find_job(NAME, unposted.channel, str(message["ts"])) is None:
                    log.info("slack.stream_found", extra={"ts": message["ts"]})
                    return replace(unposted, id=str(message["ts"]), unposted_for=None)
        return None

    async def _list_messages_since(self, thread: MessageRef, nonce: str) -> list[dict[str, Any]]:
        """Return the messages since the request of a nonce, or of the last minute for a nonce without a time."""
        now = self._clock.now().timestamp()
        # Slack's clock and ours may differ, so the search starts a minute before the request.
        since = (await self._find_request_time(nonce) or now - _SEARCH_SECONDS) - _SEARCH_SECONDS
        method = "conversations.replies" if thread.thread else "conversations.history"
        call = self._web_api.call(
            thread.workspace,
            method,
            channel=thread.channel,
            ts=thread.thread or None,
            oldest=f"{since:.6f}",
            limit=_PAGE_SIZE,
            include_all_metadata=True,
        )
        response = await ignore_refusal(call) or {}
        return list(response.get("messages") or ())

    async def _find_request_time(self, nonce: str) -> float | None:
        """Return when the job at the head of a nonce was accepted, in seconds since 1970; None without a job."""
        async with self._database.read() as tx:
            job = await tx.jobs.get(parse_job(nonce))
        return job.created_at.timestamp() if job is not None else None


def _keep_alphanumeric(text: str) -> str:
    # Slack rewrites Markdown and white space of a stream, so only letters and digits compare.
    return "".join(filter(str.isalnum, text))
