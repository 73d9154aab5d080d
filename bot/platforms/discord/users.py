"""Identifies users: Discord's members and users as `User`s, and the server whose budget a direct message spends."""

import asyncio
from collections.abc import Mapping, Sequence

import discord

from bot.core import limits
from bot.core.caches import RecentItems, TtlCache
from bot.core.clock import Clock
from bot.core.errors import NotAllowed, UserError
from bot.core.people import User
from bot.moderation.moderation import Moderation
from bot.platforms.discord.channels import NAME, USER_INSTALLS, is_user_install
from bot.platforms.discord.errors import REQUEST_ERRORS

HOME_SECONDS = 600.0  # how long the home server of a person without a rank is believed
STRANGER_SECONDS = 20.0  # how long "no shared server" is believed: a stranger who keeps writing costs one search
_MOST_SEARCHED_GUILDS = 50
_GUILDS_AT_ONCE = 10
_MOST_FETCHED_NAMES = 10
_MOST_REMEMBERED_USERS = 10_000


class DiscordUsers:
    """Builds users from Discord's events and searches the home server of users who write directly."""

    def __init__(
        self, client: discord.Client, moderation: Moderation, clock: Clock, *, allow_user_installs: bool
    ) -> None:
        self._client = client
        self._moderation = moderation
        self._allow_user_installs = allow_user_installs
        self._clock = clock
        self._homes: TtlCache[int, tuple[float, User | None]] = TtlCache(clock, HOME_SECONDS)
        self._searches: TtlCache[int, User | None] = TtlCache(clock, STRANGER_SECONDS)
        self._names: TtlCache[tuple[int, int], str] = TtlCache(clock, HOME_SECONDS)
        self._known_guilds: RecentItems[int, set[int]] = RecentItems(_MOST_REMEMBERED_USERS)
        # Discord names the locale in interactions and not in messages.
        self._locales: RecentItems[int, str] = RecentItems(_MOST_REMEMBERED_USERS)

    async def get_interaction_user(self, interaction: discord.Interaction, *, is_anywhere: bool = False) -> User:
        """Return the acting user. Raise `NotAllowed` for direct messages of a user without a shared server.

        `is_anywhere`: the command serves users without a shared server too.
        """
        person, locale = interaction.user, str(interaction.locale)
        self._locales[person.id] = locale
        if is_user_install(interaction):
            return User(NAME, USER_INSTALLS, str(person.id), person.display_name, locale)
        if isinstance(person, discord.Member):
            return self._build_member(person, interaction.permissions)
        return await self._find_home_user(person, is_anywhere=is_anywhere)

    async def get_message_author(self, message: discord.Message) -> User:
        """Return the author. Raise `NotAllowed` as `get_interaction_user` does."""
        if isinstance(message.author, discord.Member):
            return self._build_member(message.author, message.author.guild_permissions)
        return await self._find_home_user(message.author)

    async def find_names(
        self, guild: discord.Guild | None, ids: Sequence[int], known: Mapping[int, str]
    ) -> dict[int, str]:
        """Return the display names of people by id: the known names, and the names of the server's other members."""
        names = {id_: known[id_] for id_ in ids if id_ in known}
        unknown = [id_ for id_ in ids if id_ not in known][:_MOST_FETCHED_NAMES]
        if guild is None or not unknown:
            return names
        found = await asyncio.gather(*(self._find_name(guild, id_) for id_ in unknown))
        return names | {id_: name for id_, name in zip(unknown, found, strict=True) if name}

    async def _find_name(self, guild: discord.Guild, person: int) -> str:
        async def fetch() -> str:
            member = await _fetch_member(guild, person)
            return member.display_name if member is not None else ""

        return await self._names.get((guild.id, person), fetch)

    def _build_member(self, member: discord.Member, permissions: discord.Permissions) -> User:
        self._known_guilds.add_if_new(member.id, set())
        self._known_guilds[member.id].add(member.guild.id)
        return User(
            platform=NAME,
            workspace=str(member.guild.id),
            id=str(member.id),
            name=member.display_name,
            locale=self._locales.get(member.id) or str(member.guild.preferred_locale),
            roles=frozenset(str(role.id) for role in member.roles if not role.is_default()),
            is_administrator=permissions.administrator or permissions.manage_guild,
        )

    async def _find_home_user(self, person: discord.User | discord.Member, *, is_anywhere: bool = False) -> User:
        """Return a user who writes directly as a member of an allowed server that the user shares with the bot."""

        async def search() -> tuple[float, User | None]:
            read_at = self._clock.monotonic()
            return read_at, await self._searches.get(person.id, lambda: self._find_home(person.id))

        read_at, home = await self._homes.get(person.id, search)
        # Roles and rank may have been taken away since; people without any have nothing to lose.
        if _may_have_rank(home) and self._clock.monotonic() - read_at >= limits.RANK_BELIEVED_SECONDS:
            self._homes.invalidate(person.id)
            self._searches.invalidate(person.id)
            _, home = await self._homes.get(person.id, search)
        if home is not None:
            return home
        if self._allow_user_installs or is_anywhere:
            locale = self._locales.get(person.id, "en")
            return User(NAME, USER_INSTALLS, str(person.id), person.display_name, locale)
        # `_homes` would believe "no server" for ten minutes, too long for a user who joins a server now.
        self._homes.invalidate(person.id)
        raise NotAllowed("We share no server where I may be used, so there is no budget I could spend for you here.")

    async def _find_home(self, person: int) -> User | None:
        known = self._known_guilds.get(person, set())
        # Servers in which the user was seen come first: mostly one request finds the member.
        guilds = sorted(self._client.guilds, key=lambda guild: (guild.id not in known, guild.id))
        allowed = [guild for guild in guilds if await is_guild_allowed(self._moderation, guild)]
        # Several servers at once: a modal cannot be deferred, and its 3 seconds are running.
        searched = allowed[:_MOST_SEARCHED_GUILDS]
        for start in range(0, len(searched), _GUILDS_AT_ONCE):
            batch = searched[start : start + _GUILDS_AT_ONCE]
            for member in await asyncio.gather(*(_fetch_member(guild, person) for guild in batch)):
                if member is not None:
                    return self._build_member(member, member.guild_permissions)
        return None


def _may_have_rank(user: User | None) -> bool:
    return user is not None and (user.is_administrator or bool(user.roles))


async def is_guild_allowed(moderation: Moderation, guild: discord.Guild) -> bool:
    """Whether the owner allows the bot to be used in a server."""
    try:
        await moderation.admit(User(NAME, str(guild.id), "", ""))
    except UserError:
        return False
    return True


async def _fetch_member(guild: discord.Guild, person: int) -> discord.Member | None:
    try:
        return await guild.fetch_member(person)
    except REQUEST_ERRORS:
        return None
