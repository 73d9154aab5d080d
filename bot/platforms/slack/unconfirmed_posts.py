"""What was posted while nobody heard so: the answer was lost, or the process died before it wrote the address down."""

import logging
from dataclasses import replace
from typing import Any

from bot.core.clock import Clock
from bot.core.ids import parse_timestamp
from bot.core.replies import MessageRef
from bot.platforms.slack.installations import NAME, SlackTeams
from bot.platforms.slack.web_api import SlackWebApi, ignore_refusal
from bot.storage.database import Database

log = logging.getLogger(__name__)

METADATA_EVENT_TYPE = "easel_message"
_LOST_SECONDS = 60.0


class UnconfirmedPosts:
    """Finds messages of ours by their nonce, and streams, which bear none, by their words."""

    def __init__(self, calls: SlackWebApi, teams: SlackTeams, database: Database, clock: Clock) -> None:
        self._calls = calls
        self._teams = teams
        self._database = database
        self._clock = clock
        self._born_at = clock.now().timestamp()

    def is_from_previous_process(self, nonce: str) -> bool:
        """Whether the process that accepted this job is gone: it may have posted the message and told nobody."""
        made_at = parse_timestamp(nonce.partition(":")[0])
        return made_at is not None and made_at < self._born_at

    async def find_post(self, place: MessageRef, nonce: str) -> str:
        """The message with that nonce, where it is not known whether a post arrived."""
        for message in await self._said_since(place, nonce):
            payload = (message.get("metadata") or {}).get("event_payload") or {}
            if nonce and payload.get("nonce") == nonce:
                return str(message["ts"])
        return ""

    async def find_stream(self, waiting: MessageRef, text: str) -> MessageRef | None:
        """A stream that was begun for `waiting` while nobody heard so: it bears no nonce, but the first of its words.

        What any job shows is known by the database, and is none.
        """
        team = await self._teams.get(waiting.workspace)
        for message in await self._said_since(waiting, waiting.id):
            words = _letters(str(message.get("text") or ""))
            is_ours = team is not None and message.get("bot_id") == team.bot_id and not message.get("metadata")
            if not (is_ours and words and _letters(text).startswith(words)):
                continue
            async with self._database.read() as tx:
                if await tx.messages.find_job(NAME, waiting.channel, str(message["ts"])) is None:
                    log.info("slack.stream_found", extra={"ts": message["ts"]})
                    return replace(waiting, id=str(message["ts"]), unposted_for=None)
        return None

    async def _said_since(self, place: MessageRef, nonce: str) -> list[dict[str, Any]]:
        """The messages there since the job of that nonce was asked for."""
        now = self._clock.now().timestamp()
        since = (parse_timestamp(nonce.partition(":")[0]) or now - _LOST_SECONDS) - _LOST_SECONDS
        method = "conversations.replies" if place.thread else "conversations.history"
        where: dict[str, Any] = {"channel": place.channel, "ts": place.thread or None, "oldest": f"{since:.6f}"}
        where |= {"limit": 100, "include_all_metadata": True}
        answer = await ignore_refusal(self._calls.call(place.workspace, method, **where)) or {}
        return list(answer.get("messages") or ())


def _letters(text: str) -> str:
    """A text without its marks, which Slack writes in its own way."""
    return "".join(filter(str.isalnum, text))
