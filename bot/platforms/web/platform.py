"""How fast messages on the page change: as fast as eyes follow, since an edit costs no one anything."""

from dataclasses import replace

from bot.core.clock import Clock
from bot.core.people import Channel, User
from bot.core.platform import Destination, MessageLimits, MessageLost, Pacer
from bot.core.replies import Button, MessageRef, Reply, Tone
from bot.platforms.web.auth import NAME
from bot.platforms.web.feed import DeletedMessage, Feed
from bot.storage.database import Database
from bot.storage.web_page import PageMessage

SECONDS_BETWEEN_EDITS = 1 / 30


class WebPacer:
    """The pace of one message. Nobody limits us here; more than a screen shows would only cost power."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_edit_at = 0.0

    async def wait_for_edit(self, *, is_final: bool) -> None:
        """Wait until an edit may be sent. A final edit never waits."""
        now = self._clock.monotonic()
        if not is_final and now < self._next_edit_at:
            await self._clock.sleep(self._next_edit_at - now)
        self._next_edit_at = self._clock.monotonic() + SECONDS_BETWEEN_EDITS

    def close(self) -> None:
        """No bucket is shared, so nobody waits for this place."""


# MERGED The page as a platform: messages live in the database, and in memory while they change.

_MESSAGES_SHOWN = 200
_CHANNELS_SHOWN = 50


class WebPlatform:
    """Posts and edits messages on the page."""

    name = NAME
    limits = MessageLimits(max_length=100_000)

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self.feed = Feed()

    async def post(self, destination: Destination, reply: Reply) -> MessageRef:
        """Create a message whose id is the nonce: a second call with the same nonce leaves the first as it is."""
        await self._create(destination.nonce, destination.channel, destination.user, reply, is_from_bot=True)
        channel = destination.channel
        return MessageRef(NAME, channel.workspace, channel.id, channel.thread, destination.nonce)

    async def edit(self, message: MessageRef, reply: Reply) -> None:
        """Show this instead. What is still being worked on stays in memory; raises `MessageLost` for an unknown one."""
        before = await self._find(message.channel, message.id)
        if before is None or before.channel != message.channel:  # a page may name any message in a press
            raise MessageLost(f"no message {message.id} on the page")
        if before.reply == reply:
            return
        after = replace(before, reply=reply, job=_find_job_id(reply) or before.job, updated_at=self._clock.now())
        # A reload reads the rest from memory, and after a crash the job writes it anew.
        if reply.tone is not Tone.WORKING or before.reply.tone is not Tone.WORKING:
            await self._keep(after)
        if isinstance(
            self.feed.get(after.channel, after.id), DeletedMessage
        ):  # deleted meanwhile: writing it brought it back
            await self._forget(after.id)
            raise MessageLost(f"message {message.id} was deleted")
        self.feed.publish(after)

    async def delete(self, message: MessageRef) -> None:
        """Take a message of this channel off the page and out of the database."""
        if await self.find_message(message.channel, message.id) is not None:
            self.feed.publish(DeletedMessage(message.channel, message.id))
            await self._forget(message.id)

    def pacer(self, message: MessageRef) -> Pacer:
        return WebPacer(self._clock)

    async def find_direct_channel(self, workspace: str, user: str) -> Channel | None:
        """A channel of theirs for what they did not ask for; their side list shows it."""
        return Channel(NAME, workspace, f"{user}.notices")

    async def post_user_message(self, user: User, channel: Channel, message_id: str, text: str, note: str = "") -> None:
        """Post a person's own words; an equal id posts them once."""
        await self._create(message_id, channel, user, Reply(text=text, note=note), is_from_bot=False)

    async def list_messages(self, channel: str) -> list[PageMessage]:
        """The latest messages of a channel as they are now, oldest first."""
        async with self._database.read() as rows:
            stored = await rows.page.list_in_channel(channel, _MESSAGES_SHOWN)
        return self.feed.apply_changes(channel, stored)

    async def find_message(self, channel: str, message_id: str) -> PageMessage | None:
        """A message of this channel as it is now."""
        found = await self._find(channel, message_id)
        return found if found is not None and found.channel == channel else None

    async def find_user_message(self, user: User, message_id: str) -> PageMessage | None:
        """A kept message of any channel of a person's."""
        async with self._database.read() as rows:
            found = await rows.page.get(message_id)
        return found if found is not None and found.channel.startswith(f"{user.id}.") else None

    async def list_channels(self, user: User) -> list[tuple[str, str, str]]:
        """A person's channels, newest first: id, first words, time of the last change (ISO 8601)."""
        async with self._database.read() as rows:
            found = await rows.page.list_channels(user.id, _CHANNELS_SHOWN)
        return [(channel, words, at.isoformat()) for channel, words, at in found]

    async def _create(self, message_id: str, channel: Channel, user: User, reply: Reply, *, is_from_bot: bool) -> None:
        if self.feed.get(channel.id, message_id) is not None or await self._find(channel.id, message_id) is not None:
            return
        now = self._clock.now()
        message = PageMessage(message_id, channel.id, user.id, _find_job_id(reply), is_from_bot, reply, now, now)
        await self._keep(message)
        self.feed.publish(message)

    async def _find(self, channel: str, message_id: str) -> PageMessage | None:
        known = self.feed.get(channel, message_id)
        if known is not None:
            return None if isinstance(known, DeletedMessage) else known
        async with self._database.read() as rows:
            return await rows.page.get(message_id)

    async def _keep(self, message: PageMessage) -> None:
        async with self._database.write(is_urgent=message.is_from_bot) as rows:
            await rows.page.put(message)

    async def _forget(self, message_id: str) -> None:
        async with self._database.write() as rows:
            await rows.page.remove(message_id)


def _find_job_id(reply: Reply) -> str:
    """The job that a message shows, by its buttons; a question and a list of jobs show none."""
    return next(
        (
            button.job
            for button in reply.buttons
            if button.action not in _CONFIRMATION_ACTIONS and not _is_listed(button)
        ),
        "",
    )


_CONFIRMATION_ACTIONS = frozenset({"confirm", "decline"})


def _is_listed(button: Button) -> bool:
    """One of many Stop buttons, each with the number of its line."""
    return button.action == "cancel" and button.n > 0
