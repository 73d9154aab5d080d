"""Who and what there is: guilds, channels, roles, members, and the application that the bot logs in as."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.emulators.discord.changes import PATIENCE, Changes
from tests.emulators.discord.clock import PlatformClock
from tests.emulators.discord.permissions import EVERYTHING, ORDINARY, bits, effective
from tests.emulators.discord.snowflakes import Snowflakes

if TYPE_CHECKING:
    from tests.emulators.discord.interactions import Interaction
    from tests.emulators.discord.messages import Attachment, Message
    from tests.emulators.discord.people import Person

Json = dict[str, Any]
Announce = Callable[[str, "Guild | None", Callable[["Reader"], Json]], None]
"""Event name, the guild it belongs to (None for direct messages), and what it says to a session with these intents."""

DEFAULT_UPLOAD_LIMIT = 10 * 1024 * 1024

TEXT, DIRECT, GROUP, PUBLIC_THREAD, PRIVATE_THREAD = 0, 1, 3, 11, 12
_THREADS = (10, PUBLIC_THREAD, PRIVATE_THREAD)


@dataclass(frozen=True)
class Reader:
    """What a gateway session may read."""

    message_content: bool = True


@dataclass(eq=False)
class User:
    """Somebody with an account. `name` is also what others see."""

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
class Role:
    """`permissions` are bits."""

    id: int
    name: str
    permissions: int
    position: int

    @property
    def mention(self) -> str:
        return f"<@&{self.id}>"


@dataclass(eq=False)
class Member:
    """A user in a guild."""

    user: User
    guild: "Guild"
    roles: list[Role]
    joined_at: float

    @property
    def permissions(self) -> int:
        total = self.guild.everyone.permissions
        for role in self.roles:
            total |= role.permissions
        return effective(total, (), owns_guild=self.guild.owner is self.user)

    def permissions_in(self, channel: "Channel") -> int:
        """Bits, with the channel's overwrites; a thread has its parent's."""
        place = channel.parent or channel
        owns = self.guild.owner is self.user
        order = [self.guild.everyone.id, *(role.id for role in self.roles), self.user.id]
        overwrites = (place.overwrites[one] for one in order if one in place.overwrites)
        return effective(self.permissions, overwrites, owns_guild=owns)


@dataclass(eq=False)
class Channel:
    """A text channel, a direct message or a thread. `guild` is None in direct messages.

    `overwrites` maps the id of a role or a user to `(denied, allowed)` bits.
    """

    id: int
    kind: int
    name: str
    world: "World"
    guild: "Guild | None" = None
    parent: "Channel | None" = None
    owner: User | None = None
    age_restricted: bool = False
    topic: str | None = None
    overwrites: dict[int, tuple[int, int]] = field(default_factory=dict)
    recipients: list[User] = field(default_factory=list)
    history: list["Message"] = field(default_factory=list)
    """Everything ever posted, the deleted too, without ephemeral messages."""
    is_deleted: bool = False
    archived: bool = False
    locked: bool = False
    archive_minutes: int = 4320
    archived_at: float = 0.0
    thread_members: list[User] = field(default_factory=list)
    typing_at: list[float] = field(default_factory=list)
    """When the bot showed that it types."""

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
    def messages(self) -> list["Message"]:
        """What people and bots wrote and did not delete, oldest first."""
        return [message for message in self.history if not message.is_deleted and not message.is_system]

    @property
    def last_message(self) -> "Message":
        return self.messages[-1]

    @property
    def threads(self) -> list["Channel"]:
        """The living threads of this channel, oldest first."""
        return [
            channel for channel in self.world.channels.values() if channel.parent is self and not channel.is_deleted
        ]

    async def shows(
        self, look: "Callable[[Message], object]", what: str = "a message", patience: float = PATIENCE
    ) -> "Message":
        """The first living message that `look` likes, once there is one."""

        def found() -> "Message | None":
            return next((one for one in self.messages if look(one)), None)

        return await self.world.changes.until(found, f"{what} in #{self.name}", patience)

    def message(self, message_id: int) -> "Message | None":
        return next((found for found in self.history if found.id == message_id and not found.is_deleted), None)

    def deny(self, who: "Role | User", *names: str) -> None:
        """Take permissions away from a role or a user here: `channel.deny(emulator.bot, "send_messages")`."""
        denied, allowed = self.overwrites.get(who.id, (0, 0))
        self.overwrites[who.id] = (denied | bits(names), allowed & ~bits(names))
        self.world.announce_channel("CHANNEL_UPDATE", self)

    def allow(self, who: "Role | User", *names: str) -> None:
        """Give permissions to a role or a user here."""
        denied, allowed = self.overwrites.get(who.id, (0, 0))
        self.overwrites[who.id] = (denied & ~bits(names), allowed | bits(names))
        self.world.announce_channel("CHANNEL_UPDATE", self)


@dataclass(eq=False)
class Guild:
    """A server. The bot is in it unless `has_bot` is false: then only users' own installs work here."""

    id: int
    name: str
    world: "World"
    owner: User
    upload_limit: int = DEFAULT_UPLOAD_LIMIT
    locale: str = "en-US"
    has_bot: bool = True
    is_gone: bool = False
    system_channel: "Channel | None" = None
    """Where the platform greets newcomers; the bot may, too."""
    roles: list[Role] = field(default_factory=list)
    members: dict[int, Member] = field(default_factory=dict)

    @property
    def everyone(self) -> Role:
        return self.roles[0]

    def member(self, name: str, *, roles: Iterable[Role] = (), admin: bool = False, **traits: Any) -> "Person":
        """Somebody new who joins. `traits` are those of User."""
        user = self.world.add_user(name, **traits)
        own = [*roles, *([self.add_role("administrators", "administrator")] if admin else [])]
        self.world.add_member(self, user, own)
        return self.world.make_person(user, self)

    def add_role(self, name: str, *powers: str) -> Role:
        """`guild.add_role("moderators", "manage_messages")`."""
        role = self.world.add_role(self, name, bits(powers))
        self.world.announce_role(self, role)
        return role

    def add_channel(self, name: str, **traits: Any) -> "Channel":
        """A text channel. `traits` are those of Channel: `age_restricted`, `topic`."""
        channel = self.world.add_channel(TEXT, name, guild=self, **traits)
        self.world.announce_channel("CHANNEL_CREATE", channel)
        return channel

    @property
    def channels(self) -> list[Channel]:
        """Without threads."""
        return [channel for channel in self._all() if not channel.is_thread]

    @property
    def threads(self) -> list[Channel]:
        return [channel for channel in self._all() if channel.is_thread]

    @property
    def active_threads(self) -> list[Channel]:
        return [thread for thread in self.threads if not thread.archived]

    def _all(self) -> list[Channel]:
        return [found for found in self.world.channels.values() if found.guild is self and not found.is_deleted]


class World:
    """Everything that is, by id. `announce` tells the gateway's sessions; `changes` wakes the tests that wait."""

    def __init__(self, clock: PlatformClock) -> None:
        self.clock = clock
        self.ids = Snowflakes(clock)
        self.changes = Changes()
        self.announce: Announce = lambda event, guild, say: None
        self.application_id = self.ids.next()
        self.bot = User(self.application_id, "Easel", bot=True)
        self.users: dict[int, User] = {self.bot.id: self.bot}
        self.guilds: dict[int, Guild] = {}
        self.channels: dict[int, Channel] = {}
        self.interactions: dict[int, Interaction] = {}
        self.commands: dict[int, Json] = {}
        self.files: dict[int, Attachment] = {}
        self.cdn_url = ""
        self.announce_channel: Callable[[str, Channel], None] = lambda event, channel: None
        self.announce_role: Callable[[Guild, Role], None] = lambda guild, role: None
        self.make_person: Callable[[User, Guild | None], Person]

    def add_user(self, name: str, **traits: Any) -> User:
        user = User(self.ids.next(), name, **traits)
        self.users[user.id] = user
        return user

    def add_guild(self, name: str, *, guild_id: int | None = None, **traits: Any) -> Guild:
        """With an owner, and with the bot and its own role (all but administration) where `has_bot`."""
        owner = self.add_user(f"owner of {name}")
        guild = Guild(guild_id or self.ids.next(), name, self, owner, **traits)
        guild.roles.append(Role(guild.id, "@everyone", bits(ORDINARY), 0))
        self.guilds[guild.id] = guild
        self.add_member(guild, owner)
        if guild.has_bot:
            self.add_bot_to(guild)
        return guild

    def add_bot_to(self, guild: Guild) -> None:
        """The bot's role may do what its invitation asks for: everything but manage the guild or administrate."""
        powers = EVERYTHING & ~bits(["administrator", "manage_guild", "mention_everyone"])
        guild.has_bot = True
        self.add_member(guild, self.bot, [self.add_role(guild, self.bot.name, powers)])

    def add_role(self, guild: Guild, name: str, permissions: int = 0) -> Role:
        role = Role(self.ids.next(), name, permissions, len(guild.roles))
        guild.roles.append(role)
        return role

    def add_member(self, guild: Guild, user: User, roles: Iterable[Role] = ()) -> Member:
        member = guild.members[user.id] = Member(user, guild, list(roles), self.clock.now())
        return member

    def add_channel(self, kind: int, name: str, *, channel_id: int | None = None, **traits: Any) -> Channel:
        channel = Channel(channel_id or self.ids.next(), kind, name, self, **traits)
        self.channels[channel.id] = channel
        return channel

    def direct_channel(self, user: User) -> Channel:
        """Between the bot and this user; made when there is none."""
        for channel in self.channels.values():
            if channel.kind == DIRECT and channel.recipients == [user]:
                return channel
        return self.add_channel(DIRECT, user.name, recipients=[user])

    def bot_permissions(self, channel: Channel) -> int:
        """Bits of the bot where it is; 0 where it is not."""
        if channel.guild is None:
            return bits(ORDINARY) if channel.kind == DIRECT else 0
        member = channel.guild.members.get(self.bot.id)
        return member.permissions_in(channel) if member and channel.guild.has_bot else 0
