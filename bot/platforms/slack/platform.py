"""Posts, edits, streams and deletes messages in Slack: the trunk's `Platform` on top of the Web API.

A message may be posted without a confirmation: the response was lost, or the process died before storing the message's
address. Such messages are found again.
"""

import logging
from dataclasses import replace
from typing import Any
from weakref import WeakValueDictionary

from bot.core.background_tasks import BackgroundTasks
from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.people import Channel
from bot.core.platform import Destination, MessageFull, MessageLimits, parse_job
from bot.core.replies import MessageRef, Recipient, Reply, Tone
from bot.media.media import FindPath
from bot.platforms.slack.agent_view import SlackStatuses
from bot.platforms.slack.ephemeral import SlackEphemeralReplies
from bot.platforms.slack.errors import (
    UNINSTALLED_CODES,
    UNREACHABLE_CODES,
    CallRefused,
    CallUnclear,
    SlackErrors,
    ignore_refusal,
)
from bot.platforms.slack.installations import NAME, SlackTeams
from bot.platforms.slack.messages import (
    MESSAGE_BYTES,
    UPDATE_BYTES,
    ReplyTransform,
    render_blocks,
    render_fallback_text,
)
from bot.platforms.slack.mrkdwn import cut_unstable_end, neutralize_mentions
from bot.platforms.slack.pacing import APPEND_STREAM, POST_MESSAGE, STOP_STREAM, UPDATE_MESSAGE, SlackPacer
from bot.platforms.slack.streams import MessageListener, SlackStreams
from bot.platforms.slack.uploads import SlackUploads
from bot.platforms.slack.web_api import SlackWebApi
from bot.storage.database import Database

log = logging.getLogger(__name__)

_MAX_REMEMBERED = 10_000
_POST_PATIENCE_SECONDS = 0.1


class SlackPlatform:
    """Implements `core.platform.Platform`.

    `on_finished` is called with each message that shows a final reply, `on_stopped` with each message whose Slack Stop
    button was pressed.
    """

    name = NAME
    limits = MessageLimits(max_length=MESSAGE_BYTES, is_length_in_bytes=True, is_append_only=True)

    def __init__(
        self,
        web_api: SlackWebApi,
        teams: SlackTeams,
        database: Database,
        find_path: FindPath,
        clock: Clock,
        tasks: BackgroundTasks,
        *,
        transform: ReplyTransform,
        on_finished: MessageListener,
        on_stopped: MessageListener,
    ) -> None:
        self._web_api = web_api
        self._unconfirmed_posts = UnconfirmedPosts(web_api, teams, database, clock)
        self._clock = clock
        self.ephemeral_replies = SlackEphemeralReplies(web_api, clock, transform)
        self.errors = SlackErrors(teams)
        self.uploads = SlackUploads(web_api, database, find_path, clock)
        self.streams = SlackStreams(web_api, clock, on_stopped)
        self.statuses = SlackStatuses(web_api, clock, tasks)
        self._on_finished = on_finished
        self._posted: RecentItems[str, MessageRef] = RecentItems(_MAX_REMEMBERED)
        self._pacers: WeakValueDictionary[MessageRef, SlackPacer] = WeakValueDictionary()
        self._direct_channels: RecentItems[tuple[str, str], str] = RecentItems(_MAX_REMEMBERED)

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        """Create a message and return the address; a second call with the same nonce returns the same address.

        A streamed message is not posted yet: the thread shows a status until the text arrives. Raise
        `MessageLost` or `MessageFull`.
        """
        if (posted := self._posted.get(destination.nonce)) is not None:
            return posted
        try:
            ref = await self._create(destination, reply)
        except CallRefused as error:
            self._stop_updates(_get_thread(destination), error.code)
            await self._report_to_requester(destination, error.code)
            raise await self.errors.translate(destination.channel.workspace, error, destination.channel.id) from error
        self._posted[destination.nonce] = ref
        if reply.tone in (Tone.DONE, Tone.ERROR):
            await self._on_finished(ref)
        return ref

    async def edit(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        """Show another reply; return the new address if the message was posted or replaced.

        Raise `MessageLost` or `MessageFull`.
        """
        try:
            moved = await self._show(message, reply)
        except CallRefused as error:
            self._stop_updates(message, error.code)
            raise await self.errors.translate(message.workspace, error, message.channel) from error
        if reply.tone in (Tone.DONE, Tone.ERROR):
            await self._on_finished(moved or message)
        return moved

    async def delete(self, message: MessageRef) -> None:
        """Delete a message and the message's files. A deleted or never posted message is no error."""
        self.streams.forget(message)
        if message.unposted_for is not None:
            self.statuses.clear(message, is_posted=False)
            return
        try:
            await self._web_api.call(message.workspace, "chat.delete", channel=message.channel, ts=message.id)
        except CallRefused as error:
            if error.code not in ("message_not_found", "channel_not_found", *UNINSTALLED_CODES):
                raise
        await self.uploads.delete_files(message)

    def pacer(self, message: MessageRef) -> SlackPacer:
        if (pacer := self._pacers.get(message)) is None:
            stream = self.streams.get(message)
            is_growing = stream is not None and not stream.is_over
            # The first call for an unposted message (a post or the start of a stream) takes its own turn.
            update = "" if is_growing or message.unposted_for is not None else UPDATE_MESSAGE
            pacer = self._pacers[message] = SlackPacer(
                self._web_api.rate_limits,
                self._clock,
                message.workspace,
                next_method=APPEND_STREAM if is_growing else update,
                final_method=update,
            )
        return pacer

    async def find_direct_channel(self, workspace: str, user: str) -> Channel | None:
        """Return a user's direct message channel with the app, or None if Slack does not open the channel."""
        if (workspace, user) not in self._direct_channels:
            response = await ignore_refusal(self._web_api.call(workspace, "conversations.open", users=user))
            if response is None:
                return None
            self._direct_channels[workspace, user] = str(response["channel"]["id"])
        return Channel(NAME, workspace, self._direct_channels[workspace, user])

    def is_direct_channel(self, channel: Channel) -> bool:
        """Return whether an id is of direct messages, which begin with D (docs.slack.dev/apis/events-api)."""
        return channel.id.startswith("D")

    async def is_private_thread(self, channel: Channel) -> bool:
        """Return false: everybody in a channel of Slack reads the channel's threads."""
        return False

    async def post_or_find(self, thread: MessageRef, nonce: str, **content: Any) -> tuple[MessageRef, bool]:
        """Post a message, or find the message with the same nonce. Return the address and if the message is new."""
        content |= {
            "channel": thread.channel, "thread_ts": thread.thread or None, "unfurl_links": False, "unfurl_media": False,
            "metadata": {"event_type": METADATA_EVENT_TYPE, "event_payload": {"nonce": nonce}} if nonce else None,
        }  # fmt: skip
        ts = ""
        if await self._unconfirmed_posts.is_from_previous_process(nonce):
            ts = await self._unconfirmed_posts.find_post(thread, nonce)
        is_new = not ts
        if is_new:
            try:
                ts = await self._post(thread.workspace, content)
            except CallUnclear:
                # Slack may have taken the post before the connection broke: look before posting again.
                ts = await self._unconfirmed_posts.find_post(thread, nonce) or await self._post(
                    thread.workspace, content
                )
        return MessageRef(NAME, thread.workspace, thread.channel, thread.thread, ts), is_new

    async def _post(self, team: str, content: dict[str, Any]) -> str:
        response = await self._web_api.call(team, POST_MESSAGE, **content)
        return str(response["ts"])

    async def _create(self, destination: Destination, reply: Reply) -> MessageRef:
        thread = _get_thread(destination)
        if destination.placeholder is not None:
            await self._show(destination.placeholder, reply)
            return destination.placeholder
        # Slack documents streams outside of threads only lately; such a stream is not tried yet.
        if not (destination.is_streamed and thread.thread and self.streams.is_available(thread.workspace)):
            return await self._post_reply(thread, reply, destination.nonce, is_growing=destination.is_streamed)
        recipient = Recipient(destination.user.id, destination.user.workspace)
        unposted = replace(thread, id=destination.nonce, unposted_for=recipient)
        return await self._show_unposted(unposted, recipient, reply) or unposted

    async def _post_reply(
        self, thread: MessageRef, reply: Reply, nonce: str, *, is_growing: bool = False
    ) -> MessageRef:
        """Post an ordinary message. A growing message is edited later, and an edit takes less text than a post."""
        if is_growing and reply.tone is Tone.WORKING and len(reply.text.encode()) > UPDATE_BYTES:
            raise MessageFull(room=UPDATE_BYTES)
        ref, is_new = await self.post_or_find(
            thread, nonce, text=render_fallback_text(reply), blocks=render_blocks(reply)
        )
        self.statuses.clear(thread, is_posted=True)
        if not is_new:
            await self._update(ref, reply)
        return ref

    async def _show(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        if message.unposted_for is not None:
            return await self._show_unposted(message, message.unposted_for, reply)
        if (stream := self.streams.get(message)) is not None:
            is_session_ended = await self.streams.update(stream, reply, self.pacer(message))
            if reply.tone in (Tone.DONE, Tone.ERROR) and not is_session_ended:
                self.statuses.end_session(message)
            return None
        if reply.made_files:
            return await self._show_files(message, reply)
        if len(reply.text.encode()) > UPDATE_BYTES:
            raise MessageFull(room=UPDATE_BYTES)
        await self._update(message, reply)
        return None

    async def _show_unposted(self, message: MessageRef, recipient: Recipient, reply: Reply) -> MessageRef | None:
        """Show a status without text; with the first text start a stream, or post a message if the text is final."""
        is_final = reply.tone is not Tone.WORKING
        text = neutralize_mentions(reply.text)
        text = text if is_final else cut_unstable_end(text)
        if not text.strip() and not is_final:
            self.statuses.show(message, reply.progress)
            return None
        if await self._unconfirmed_posts.is_from_previous_process(message.id) and (
            found := await self._take_over_stream(message, reply, text)
        ):
            return found
        if is_final:
            return await self._post_final(message, recipient, reply)
        try:
            started = await self.streams.start(message, recipient, text)
        except CallUnclear:
            # The stream may exist, with an unknown ts.
            if (found := await self._take_over_stream(message, reply, text)) is None:
                raise
            return found
        if started is None:
            return await self._post_reply(message, reply, message.id, is_growing=True)
        self.statuses.clear(message, is_posted=True)
        return started

    async def _take_over_stream(self, unposted: MessageRef, reply: Reply, text: str) -> MessageRef | None:
        """Show the reply in the stream started earlier for an unposted message; return None without such a stream."""
        found = await self._unconfirmed_posts.find_stream(unposted, text)
        if found is not None:
            self.statuses.clear(unposted, is_posted=True)
            await self._update(found, replace(reply, text=text))
        return found

    async def _post_final(self, message: MessageRef, recipient: Recipient, reply: Reply) -> MessageRef:
        """Post a complete text, or show it by a short stream while the channel's limit of posts is used up."""
        text = neutralize_mentions(reply.text)
        rate_limit = self._web_api.rate_limits.get(message.workspace, POST_MESSAGE, message.channel)
        if text.strip() and not rate_limit.is_ready(_POST_PATIENCE_SECONDS):
            started = await self.streams.start(message, recipient, text)
            if started is not None:
                self.statuses.clear(message, is_posted=True)
                await self._show(started, reply)
                return started
        ref = await self._post_reply(message, reply, message.id)
        if reply.tone in (Tone.DONE, Tone.ERROR):
            self.statuses.end_session(message)
        return ref

    async def _show_files(self, message: MessageRef, reply: Reply) -> MessageRef | None:
        """Attach the made files to the message; return a new message if Slack refuses files on the old message."""
        made = [file for file in reply.made_files if not file.is_flagged]
        files = await self.uploads.ensure_uploaded(message, made)
        try:
            await self._update(message, reply, file_ids=files)
        except CallRefused as error:
            if error.code in UNREACHABLE_CODES or not files:
                raise
            log.warning("slack.files_refused", extra={"ts": message.id, "reason": error.code})
        else:
            return None
        # Post before deleting: a crash in between leaves two messages, not zero.
        ts = await self.uploads.post_files(message, made, render_blocks(reply))
        await ignore_refusal(
            self._web_api.call(message.workspace, "chat.delete", channel=message.channel, ts=message.id)
        )
        return MessageRef(NAME, message.workspace, message.channel, message.thread, ts)

    async def _update(self, message: MessageRef, reply: Reply, file_ids: list[str] | None = None) -> None:
        content: dict[str, Any] = {
            "channel": message.channel, "ts": message.id, "text": render_fallback_text(reply),
            "blocks": render_blocks(reply),
            "parse": "none", "file_ids": file_ids or None,
        }  # fmt: skip
        has_turn = self.pacer(message).use_turn(UPDATE_MESSAGE)
        try:
            await self._web_api.call(message.workspace, UPDATE_MESSAGE, has_turn=has_turn, **content)
        except CallRefused as error:
            if error.code != "streaming_state_conflict":
                raise
            # A dead process was streaming this message. The blocks of the edit bring our own Stop button.
            await ignore_refusal(
                self._web_api.call(message.workspace, STOP_STREAM, channel=message.channel, ts=message.id)
            )
            self.statuses.end_session(message)
            await self._web_api.call(message.workspace, UPDATE_MESSAGE, **content)

    def _stop_updates(self, message: MessageRef, code: str) -> None:
        if code in UNREACHABLE_CODES:
            self.streams.forget(message)
            self.statuses.drop(message)

    async def _report_to_requester(self, destination: Destination, code: str) -> None:
        """Tell the requesting user by an ephemeral reply why the channel takes no message."""
        target = self.ephemeral_replies.take(destination.request_key)
        if target is not None:
            text = await self.errors.explain(destination.channel.workspace, code, destination.channel.id)
            await self.ephemeral_replies.send(target, Reply(text=text, tone=Tone.ERROR, is_private=True))


def _get_thread(destination: Destination) -> MessageRef:
    """Return the address of a destination's channel and thread, without a message."""
    channel = destination.channel
    return MessageRef(NAME, channel.workspace, channel.id, channel.thread, "")


# Posts without a confirmation.

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
