"""The page as a platform: messages stand in the database, and in memory while a job still changes them."""

from dataclasses import replace

from bot.core.clock import Clock
from bot.core.limits import MAX_PAGE_MESSAGE_CHARACTERS
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLimits, MessageLost, Pacer
from bot.core.replies import Button, LivePreview, MessageRef, Reply, Tone
from bot.platforms.web.auth import NAME
from bot.platforms.web.feed import DeletedMessage, Feed
from bot.storage.database import Database
from bot.storage.web_page import PageMessage, take_latest

# A screen's usual pace. The page has no rate limit of its own: faster edits would only cost power.
SECONDS_BETWEEN_EDITS = 1 / 30

_MAX_MESSAGES = 200
_MAX_CHANNELS = 50
_CONFIRMATION_ACTIONS = frozenset({"confirm", "decline"})


class WebPlatform:
    """Posts and edits messages on the page."""

    name = NAME
    limits = MessageLimits(max_length=MAX_PAGE_MESSAGE_CHARACTERS, shows_previews=True)

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.feed = Feed()

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        """Create a message with the nonce as id. A second call with the same nonce changes nothing."""
        await self._create(destination.nonce, destination.channel, destination.user, reply, is_from_bot=True)
        channel = destination.channel
        return MessageRef(NAME, channel.workspace, channel.id, channel.thread, destination.nonce)

    async def edit(self, message: MessageRef, reply: Reply) -> None:
        """Replace a message's content. Raise `MessageLost` if the channel has no such message."""
        before = await self._find(message.channel, message.id)
        # A browser may name any message in a press: the id alone does not give access to another channel.
        if before is None or before.channel != message.channel:
            raise MessageLost(f"no message {message.id} on the page")
        reply = _bound_text(reply)
        if before.reply == reply:
            return
        after = replace(before, reply=reply, job=_find_job_id(reply) or before.job, updated_at=self._clock.now())
        # Text that still grows stays in memory: a reload reads the feed, and after a crash the job writes all anew.
        if reply.tone is not Tone.WORKING or before.reply.tone is not Tone.WORKING:
            await self._keep(after)
        # Deleted while the row was written: the write brought the row back, so delete again.
        if isinstance(self.feed.get(after.channel, after.id), DeletedMessage):
            await self._forget(after.id)
            raise MessageLost(f"message {message.id} was deleted")
        self.feed.publish(after)

    async def delete(self, message: MessageRef) -> None:
        """Delete a message of the channel from the page and the database; ignore an unknown message."""
        if await self.find_message(message.channel, message.id) is not None:
            # Publish first: an edit during the database write must see the deletion.
            self.feed.publish(DeletedMessage(message.channel, message.id))
            await self._forget(message.id)

    def pacer(self, message: MessageRef) -> Pacer:
        return WebPacer(self._clock)

    async def find_direct_channel(self, workspace: str, user: str) -> Channel | None:
        """Return the user's channel for notices, which the page lists among the user's conversations."""
        return Channel(NAME, workspace, f"{user}.notices")

    def is_direct_channel(self, channel: Channel) -> bool:
        """Return false: a conversation of the page is what a channel is elsewhere."""
        return False

    async def is_private_thread(self, channel: Channel) -> bool:
        """Return false: the page has no threads."""
        return False

    async def post_user_message(self, user: User, channel: Channel, message_id: str, text: str, note: str = "") -> None:
        """Post a user's own words. A second call with the same id changes nothing."""
        await self._create(message_id, channel, user, Reply(text=text, note=note), is_from_bot=False)

    async def list_messages(self, channel: str) -> list[PageMessage]:
        """Return the latest messages of a channel in the current state, oldest first.

        A line stands in for messages left out because the later ones are too long together.
        """
        async with self._database.read() as rows:
            stored = await rows.page.list_in_channel(channel, _MAX_MESSAGES)
            count = await rows.page.count_in_channel(channel, _MAX_MESSAGES)
        # A growing text is longer in the feed than in the database.
        latest = self.feed.apply_changes(channel, stored)
        shown = take_latest(latest)
        if shown and (len(stored) < count or len(shown) < len(latest)):
            return [_build_gap(shown[0]), *shown]
        return shown

    async def read_last_answer(self, channel: str) -> str:
        """Return the words of the last finished answer in a channel, empty without one."""
        messages = reversed(await self.list_messages(channel))
        answers = (one.reply.text for one in messages if one.is_from_bot and one.reply.tone is Tone.DONE)
        return next(filter(None, answers), "")

    async def find_message(self, channel: str, message_id: str) -> PageMessage | None:
        """Return a message of the channel in the current state."""
        message = await self._find(channel, message_id)
        return message if message is not None and message.channel == channel else None

    async def find_live_preview(self, user: User, message_id: str) -> LivePreview | None:
        """Return the unfinished picture that a message of the user shows now."""
        stored = await self.find_user_message(user, message_id)
        message = await self.find_message(stored.channel, message_id) if stored is not None else None
        return message.reply.preview if message is not None else None

    async def find_user_message(self, user: User, message_id: str) -> PageMessage | None:
        """Return a stored message of any channel of the user."""
        async with self._database.read() as rows:
            message = await rows.page.get(message_id)
        return message if message is not None and message.channel.startswith(f"{user.id}.") else None

    async def list_channels(self, user: User) -> list[tuple[str, str, str]]:
        """Return the user's channels, newest first: id, first words, time of the last change (ISO 8601)."""
        async with self._database.read() as rows:
            channels = await rows.page.list_channels(user.id, _MAX_CHANNELS)
        return [(channel, words, at.isoformat()) for channel, words, at in channels]

    async def _create(self, message_id: str, channel: Channel, user: User, reply: Reply, *, is_from_bot: bool) -> None:
        # The feed also knows deleted messages: a repeated post must not bring a message back.
        if self.feed.get(channel.id, message_id) is not None or await self._find(channel.id, message_id) is not None:
            return
        now, reply = self._clock.now(), _bound_text(reply)
        message = PageMessage(message_id, channel.id, user.id, _find_job_id(reply), is_from_bot, reply, now, now)
        await self._keep(message)
        self.feed.publish(message)

    async def _find(self, channel: str, message_id: str) -> PageMessage | None:
        change = self.feed.get(channel, message_id)
        if change is not None:
            return None if isinstance(change, DeletedMessage) else change
        async with self._database.read() as rows:
            return await rows.page.get(message_id)

    async def _keep(self, message: PageMessage) -> None:
        # The answers to refused requests must not overtake the work on accepted jobs.
        async with self._database.write(is_urgent=message.is_from_bot and bool(message.job)) as rows:
            await rows.page.put(message)

    async def _forget(self, message_id: str) -> None:
        async with self._database.write() as rows:
            await rows.page.remove(message_id)


class WebPacer:
    """Limits the edits of a message to 30 per second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_edit_at = 0.0

    async def wait_for_edit(self, *, is_final: bool) -> None:
        """Wait until the next edit may be sent. A final edit never waits."""
        now = self._clock.monotonic()
        if not is_final and now < self._next_edit_at:
            await self._clock.sleep(self._next_edit_at - now)
        self._next_edit_at = self._clock.monotonic() + SECONDS_BETWEEN_EDITS

    def close(self) -> None:
        """Messages share no limit: there is nothing to release."""


def _build_gap(oldest: PageMessage) -> PageMessage:
    reply = Reply(text="Earlier messages are left out here: the later ones are too long together.")
    return replace(oldest, id="earlier", job="", is_from_bot=True, reply=reply)


def _bound_text(reply: Reply) -> Reply:
    """Return the reply with at most `MAX_PAGE_MESSAGE_CHARACTERS`, and with a line about the rest."""
    left_out = len(reply.text) - MAX_PAGE_MESSAGE_CHARACTERS
    if left_out <= 0:
        return reply
    text = f"{reply.text[:MAX_PAGE_MESSAGE_CHARACTERS]}\n\n({left_out:,} more characters are left out here.)"
    return replace(reply, text=text)


def _find_job_id(reply: Reply) -> str:
    """Return the job of a message, from the buttons; "" for a confirmation and for a list of jobs."""
    buttons = (button for button in reply.buttons if button.action not in _CONFIRMATION_ACTIONS)
    return next((button.job for button in buttons if not _is_list_entry(button)), "")


def _is_list_entry(button: Button) -> bool:
    # A list of jobs has a Stop button per line, numbered from 1; a job's own Stop button has number 0.
    return button.action == "cancel" and button.n > 0
