"""Threads: opening, joining, archiving, and how writing into one brings it back."""

from tests.emulators.discord.messages import HAS_THREAD, Message
from tests.emulators.discord.payloads import channel_json, thread_json_for, thread_member_json
from tests.emulators.discord.posting import announce, publish
from tests.emulators.discord.world import PUBLIC_THREAD, Channel, User, World

THREAD_CREATED, THREAD_STARTER = 18, 21


def open_thread(world: World, parent: Channel, owner: User, name: str, kind: int, minutes: int) -> Channel:
    """A thread of its own."""
    thread = world.add_channel(kind, name, guild=parent.guild, parent=parent, owner=owner)
    _begin(world, thread, minutes)
    if kind == PUBLIC_THREAD:
        publish(world, _system(world, parent, owner, THREAD_CREATED, name))
    return thread


def open_thread_on(world: World, message: Message, owner: User, name: str, minutes: int) -> Channel:
    """A thread that hangs on a message and has its id."""
    parent = message.channel
    thread = world.add_channel(
        PUBLIC_THREAD, name, channel_id=message.id, guild=parent.guild, parent=parent, owner=owner
    )
    message.thread = thread
    message.flags |= HAS_THREAD
    _begin(world, thread, minutes)
    publish(world, _system(world, thread, owner, THREAD_STARTER, "", reference=message))
    announce(world, "MESSAGE_UPDATE", message)
    return thread


def _begin(world: World, thread: Channel, minutes: int) -> None:
    assert thread.owner is not None
    thread.archive_minutes = minutes
    thread.archived_at = world.clock.now()
    thread.thread_members.append(thread.owner)
    world.announce("THREAD_CREATE", thread.guild, lambda reader: thread_json_for(thread, world.bot) | _NEW)
    if thread.owner is world.bot:
        announce_members(world, thread, [world.bot])


_NEW = {"newly_created": True}


def _system(
    world: World, channel: Channel, author: User, kind: int, content: str, reference: Message | None = None
) -> Message:
    message = Message(world.ids.next(), channel, author, world.clock.now(), kind=kind, content=content)
    message.reference = reference
    return message


def announce_members(world: World, thread: Channel, added: list[User]) -> None:
    assert thread.guild is not None
    payload = {
        "id": str(thread.id),
        "guild_id": str(thread.guild.id),
        "member_count": len(thread.thread_members),
        "added_members": [thread_member_json(thread, user) for user in added],
        "removed_member_ids": [],
    }
    world.announce("THREAD_MEMBERS_UPDATE", thread.guild, lambda reader: payload)


def join(world: World, thread: Channel, user: User) -> None:
    if user not in thread.thread_members:
        thread.thread_members.append(user)
        announce_members(world, thread, [user])
        world.changes.happened()


def archive(world: World, thread: Channel, *, archived: bool = True, locked: bool | None = None) -> None:
    """Close a thread, or open it again."""
    thread.archived = archived
    thread.locked = thread.locked if locked is None else locked
    thread.archived_at = world.clock.now()
    world.announce("THREAD_UPDATE", thread.guild, lambda reader: channel_json(thread))
    world.changes.happened()


def wake(world: World, channel: Channel, author: User) -> None:
    """Whoever writes into a thread joins it, and an archived one comes back."""
    if not channel.is_thread:
        return
    if channel.archived:
        archive(world, channel, archived=False)
    join(world, channel, author)
