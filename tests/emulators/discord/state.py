"""The state of the platform: guilds, channels, roles, members, users, and the bot's application."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.emulators.changes import DEFAULT_TIMEOUT_SECONDS, StateChanges
from tests.emulators.discord.clock import DiscordClock, DiscordIdGenerator
from tests.emulators.discord.permissions import (
    ALL_PERMISSIONS,
    DEFAULT_PERMISSIONS,
    compute_permissions,
    parse_permissions,
)

if TYPE_CHECKING:
    from tests.emulators.discord.emulator import DiscordEmulator
    from tests.emulators.discord.interactions import DiscordInteractionState
    from tests.emulators.discord.messages import DiscordAttachmentState, DiscordMessageState
    from tests.emulators.discord.people import DiscordPerson


Json = dict[str, Any]
DEFAULT_UPLOAD_LIMIT = 10 * 1024 * 1024

TEXT, DIRECT, GROUP, PUBLIC_THREAD, PRIVATE_THREAD = 0, 1, 3, 11, 12
_THREADS = (10, PUBLIC_THREAD, PRIVATE_THREAD)


@dataclass(frozen=True)
class DiscordReader:
    """The reading rights of a gateway session."""

    message_content: bool = True


@dataclass(eq=False)
class DiscordUserState:
    """An account. `name` is also the display name."""

    id: int
    name: str
    bot: bool = False
    locale: str = "en-US"
    blocks_direct_messages: bool = False
    has_installed_the_app: bool = False

    @property
    def mention(self) -> str:
        return f"<@{self.id}>"


@dataclass(eq=False)
class DiscordRoleState:
    """`permissions` are bits."""

    id: int
    name: str
    permissions: int
    position: int

    @property
    def mention(self) -> str:
        return f"<@&{self.id}>"


@dataclass(eq=False)
class DiscordMemberState:
    """A user in a guild."""

    user: DiscordUserState
    guild: "DiscordGuildState"
    roles: list[DiscordRoleState]
    joined_at: float

    @property
    def permissions(self) -> int:
        total = self.guild.everyone.permissions
        for role in self.roles:
            total |= role.permissions
        return compute_permissions(total, (), owns_guild=self.guild.owner is self.user)

    def permissions_in(self, channel: "DiscordChannelState") -> int:
        """Return bits with the channel's overwrites applied; a thread uses its parent's overwrites."""
        owner_channel = channel.parent or channel
        owns = self.guild.owner is self.user
        target_ids = [self.guild.everyone.id, *(role.id for role in self.roles), self.user.id]
        overwrites = (
            owner_channel.overwrites[target_id] for target_id in target_ids if target_id in owner_channel.overwrites
        )
        return compute_permissions(self.permissions, overwrites, owns_guild=owns)


@dataclass(eq=False)
class DiscordChannelState:
    """A text channel, a direct message or a thread. `guild` is None in direct messages.

    `overwrites` maps the id of a role or a user to `(denied, allowed)` bits.
    """

    id: int
    kind: int
    name: str
    state: "DiscordState"
    guild: "DiscordGuildState | None" = None
    parent: "DiscordChannelState | None" = None
    owner: DiscordUserState | None = None
    age_restricted: bool = False
    topic: str | None = None
    overwrites: dict[int, tuple[int, int]] = field(default_factory=dict)
    recipients: list[DiscordUserState] = field(default_factory=list)
    history: list["DiscordMessageState"] = field(default_factory=list)
    """All posted messages, deleted messages included, without ephemeral messages."""
    is_deleted: bool = False
    archived: bool = False
    locked: bool = False
    archive_minutes: int = 4320
    archived_at: float = 0.0
    thread_members: list[DiscordUserState] = field(default_factory=list)
    typing_at: list[float] = field(default_factory=list)
    """Times of the bot's typing indicators, in Unix seconds."""

    @property
    def is_thread(self) -> bool:
        return self.kind in _THREADS

    @property
    def is_age_restricted(self) -> bool:
        return (self.parent or self).age_restricted

    @property
    def mention(self) -> str:
        return f"<#{self.id}>"

    @property
    def messages(self) -> list["DiscordMessageState"]:
        """Return messages of people and bots that are not deleted, oldest first."""
        return [message for message in self.history if not message.is_deleted and not message.is_system]

    @property
    def last_message(self) -> "DiscordMessageState":
        return self.messages[-1]

    @property
    def threads(self) -> list["DiscordChannelState"]:
        """Return the channel's threads that are not deleted, oldest first."""
        return [
            channel for channel in self.state.channels.values() if channel.parent is self and not channel.is_deleted
        ]

    async def wait_for_message(
        self,
        condition: "Callable[[DiscordMessageState], object]",
        description: str = "a message",
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> "DiscordMessageState":
        """Return the first visible message that `condition` accepts. Raise `ConditionNotMet` on timeout."""

        def found() -> "DiscordMessageState | None":
            return next((message for message in self.messages if condition(message)), None)

        return await self.state.changes.wait_for(found, f"{description} in #{self.name}", timeout_seconds)

    def find_message(self, message_id: int) -> "DiscordMessageState | None":
        return next((found for found in self.history if found.id == message_id and not found.is_deleted), None)

    def deny(self, target: "DiscordRoleState | DiscordUserState", *names: str) -> None:
        """Deny permissions to a role or a user in this channel: `channel.deny(emulator.bot, "send_messages")`."""
        denied, allowed = self.overwrites.get(target.id, (0, 0))
        self.overwrites[target.id] = (denied | parse_permissions(names), allowed & ~parse_permissions(names))
        self.state.emulator.announce_channel("CHANNEL_UPDATE", self)

    def allow(self, target: "DiscordRoleState | DiscordUserState", *names: str) -> None:
        """Allow permissions to a role or a user in this channel."""
        denied, allowed = self.overwrites.get(target.id, (0, 0))
        self.overwrites[target.id] = (denied & ~parse_permissions(names), allowed | parse_permissions(names))
        self.state.emulator.announce_channel("CHANNEL_UPDATE", self)


@dataclass(eq=False)
class DiscordGuildState:
    """A guild. With `has_bot` False, only installations of users work in the guild."""

    id: int
    name: str
    state: "DiscordState"
    owner: DiscordUserState
    upload_limit_bytes: int = DEFAULT_UPLOAD_LIMIT
    locale: str = "en-US"
    has_bot: bool = True
    is_gone: bool = False
    system_channel: "DiscordChannelState | None" = None
    """The channel of the platform's welcome messages."""
    roles: list[DiscordRoleState] = field(default_factory=list)
    members: dict[int, DiscordMemberState] = field(default_factory=dict)

    @property
    def everyone(self) -> DiscordRoleState:
        return self.roles[0]

    def add_member(
        self, name: str, *, roles: Iterable[DiscordRoleState] = (), admin: bool = False, **traits: Any
    ) -> "DiscordPerson":
        """Add a person. `traits` are fields of `DiscordUserState`."""
        user = self.state.add_user(name, **traits)
        all_roles = [*roles, *([self.add_role("administrators", "administrator")] if admin else [])]
        self.state.add_member(self, user, all_roles)
        return self.state.emulator.create_person(user, self)

    def add_role(self, name: str, *powers: str) -> DiscordRoleState:
        """Add a role: `guild.add_role("moderators", "manage_messages")`."""
        role = self.state.add_role(self, name, parse_permissions(powers))
        self.state.emulator.announce_role(self, role)
        return role

    def add_channel(self, name: str, **traits: Any) -> "DiscordChannelState":
        """Add a text channel. `traits` are fields of `DiscordChannelState`: `age_restricted`, `topic`."""
        channel = self.state.add_channel(TEXT, name, guild=self, **traits)
        self.state.emulator.announce_channel("CHANNEL_CREATE", channel)
        return channel

    @property
    def channels(self) -> list[DiscordChannelState]:
        """Return the channels without threads."""
        return [channel for channel in self._all() if not channel.is_thread]

    @property
    def threads(self) -> list[DiscordChannelState]:
        return [channel for channel in self._all() if channel.is_thread]

    @property
    def active_threads(self) -> list[DiscordChannelState]:
        return [thread for thread in self.threads if not thread.archived]

    def _all(self) -> list[DiscordChannelState]:
        return [found for found in self.state.channels.values() if found.guild is self and not found.is_deleted]


class DiscordState:
    """All objects by id. `changes` wakes the waiting tests."""

    def __init__(self, emulator: "DiscordEmulator", clock: DiscordClock) -> None:
        self.emulator = emulator
        self.clock = clock
        self.ids = DiscordIdGenerator(clock)
        self.changes = StateChanges()
        self.application_id = self.ids.next()
        self.bot = DiscordUserState(self.application_id, "Easel", bot=True)
        self.users: dict[int, DiscordUserState] = {self.bot.id: self.bot}
        self.guilds: dict[int, DiscordGuildState] = {}
        self.channels: dict[int, DiscordChannelState] = {}
        self.interactions: dict[int, DiscordInteractionState] = {}
        self.commands: dict[int, Json] = {}
        self.files: dict[int, DiscordAttachmentState] = {}

    @property
    def cdn_url(self) -> str:
        return self.emulator.cdn_url

    def announce(
        self, event: str, guild: DiscordGuildState | None, build_payload: Callable[[DiscordReader], Json]
    ) -> None:
        """Send an event to the gateway's sessions. `guild` is None for direct messages."""
        self.emulator.gateway.announce(event, guild, build_payload)

    def add_user(self, name: str, **traits: Any) -> DiscordUserState:
        user = DiscordUserState(self.ids.next(), name, **traits)
        self.users[user.id] = user
        return user

    def add_guild(self, name: str, *, guild_id: int | None = None, **traits: Any) -> DiscordGuildState:
        """Add a guild with an owner and, with `has_bot`, the bot and the bot's role."""
        owner = self.add_user(f"owner of {name}")
        guild = DiscordGuildState(guild_id or self.ids.next(), name, self, owner, **traits)
        guild.roles.append(DiscordRoleState(guild.id, "@everyone", parse_permissions(DEFAULT_PERMISSIONS), 0))
        self.guilds[guild.id] = guild
        self.add_member(guild, owner)
        if guild.has_bot:
            self.add_bot(guild)
        return guild

    def add_bot(self, guild: DiscordGuildState) -> None:
        """Add the bot with a role of all permissions but administration, as the bot's invitation requests."""
        powers = ALL_PERMISSIONS & ~parse_permissions(["administrator", "manage_guild", "mention_everyone"])
        guild.has_bot = True
        self.add_member(guild, self.bot, [self.add_role(guild, self.bot.name, powers)])

    def add_role(self, guild: DiscordGuildState, name: str, permissions: int = 0) -> DiscordRoleState:
        role = DiscordRoleState(self.ids.next(), name, permissions, len(guild.roles))
        guild.roles.append(role)
        return role

    def add_member(
        self, guild: DiscordGuildState, user: DiscordUserState, roles: Iterable[DiscordRoleState] = ()
    ) -> DiscordMemberState:
        member = guild.members[user.id] = DiscordMemberState(user, guild, list(roles), self.clock.now())
        return member

    def add_channel(self, kind: int, name: str, *, channel_id: int | None = None, **traits: Any) -> DiscordChannelState:
        channel = DiscordChannelState(channel_id or self.ids.next(), kind, name, self, **traits)
        self.channels[channel.id] = channel
        return channel

    def open_direct_channel(self, user: DiscordUserState) -> DiscordChannelState:
        """Return the direct messages of a user with the bot, created if missing."""
        for channel in self.channels.values():
            if channel.kind == DIRECT and channel.recipients == [user]:
                return channel
        return self.add_channel(DIRECT, user.name, recipients=[user])

    def compute_bot_permissions(self, channel: DiscordChannelState) -> int:
        """Return the bot's permission bits in a channel; 0 outside the bot's guilds."""
        if channel.guild is None:
            return parse_permissions(DEFAULT_PERMISSIONS) if channel.kind == DIRECT else 0
        member = channel.guild.members.get(self.bot.id)
        return member.permissions_in(channel) if member and channel.guild.has_bot else 0
