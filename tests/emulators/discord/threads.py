"""Opens, joins and archives threads; a message unarchives its thread."""

from tests.emulators.discord.messages import HAS_THREAD, DiscordMessageState
from tests.emulators.discord.payloads import channel_json, thread_json, thread_member_json
from tests.emulators.discord.posting import announce_message, publish
from tests.emulators.discord.state import PUBLIC_THREAD, DiscordChannelState, DiscordState, DiscordUserState

THREAD_CREATED, THREAD_STARTER = 18, 21


def open_thread(
    state: DiscordState, parent: DiscordChannelState, owner: DiscordUserState, name: str, kind: int, minutes: int
) -> DiscordChannelState:
    """Open a thread without a message."""
    thread = state.add_channel(kind, name, guild=parent.guild, parent=parent, owner=owner)
    _start_thread(state, thread, minutes)
    if kind == PUBLIC_THREAD:
        publish(state, _create_system_message(state, parent, owner, THREAD_CREATED, name))
    return thread


def open_thread_on_message(
    state: DiscordState, message: DiscordMessageState, owner: DiscordUserState, name: str, minutes: int
) -> DiscordChannelState:
    """Open a thread on a message; the thread gets the message's id."""
    parent = message.channel
    thread = state.add_channel(
        PUBLIC_THREAD, name, channel_id=message.id, guild=parent.guild, parent=parent, owner=owner
    )
    message.thread = thread
    message.flags |= HAS_THREAD
    _start_thread(state, thread, minutes)
    publish(state, _create_system_message(state, thread, owner, THREAD_STARTER, "", reference=message))
    announce_message(state, "MESSAGE_UPDATE", message)
    return thread


def _start_thread(state: DiscordState, thread: DiscordChannelState, minutes: int) -> None:
    assert thread.owner is not None
    thread.archive_minutes = minutes
    thread.archived_at = state.clock.now()
    thread.thread_members.append(thread.owner)
    state.announce("THREAD_CREATE", thread.guild, lambda reader: thread_json(thread, state.bot) | _NEW_THREAD_FIELDS)
    if thread.owner is state.bot:
        announce_thread_members(state, thread, [state.bot])


_NEW_THREAD_FIELDS = {"newly_created": True}


def _create_system_message(
    state: DiscordState,
    channel: DiscordChannelState,
    author: DiscordUserState,
    kind: int,
    content: str,
    reference: DiscordMessageState | None = None,
) -> DiscordMessageState:
    message = DiscordMessageState(state.ids.next(), channel, author, state.clock.now(), kind=kind, content=content)
    message.reference = reference
    return message


def announce_thread_members(state: DiscordState, thread: DiscordChannelState, added: list[DiscordUserState]) -> None:
    assert thread.guild is not None
    payload = {
        "id": str(thread.id),
        "guild_id": str(thread.guild.id),
        "member_count": len(thread.thread_members),
        "added_members": [thread_member_json(thread, user) for user in added],
        "removed_member_ids": [],
    }
    state.announce("THREAD_MEMBERS_UPDATE", thread.guild, lambda reader: payload)


def add_member_to_thread(state: DiscordState, thread: DiscordChannelState, user: DiscordUserState) -> None:
    if user not in thread.thread_members:
        thread.thread_members.append(user)
        announce_thread_members(state, thread, [user])
        state.changes.notify()


def set_thread_archived(
    state: DiscordState, thread: DiscordChannelState, *, archived: bool = True, locked: bool | None = None
) -> None:
    """Archive or unarchive a thread."""
    thread.archived = archived
    thread.locked = thread.locked if locked is None else locked
    thread.archived_at = state.clock.now()
    state.announce("THREAD_UPDATE", thread.guild, lambda reader: channel_json(thread))
    state.changes.notify()


def activate_thread(state: DiscordState, channel: DiscordChannelState, author: DiscordUserState) -> None:
    """Add an author to a thread, and unarchive an archived thread."""
    if not channel.is_thread:
        return
    if channel.archived:
        set_thread_archived(state, channel, archived=False)
    add_member_to_thread(state, channel, author)
