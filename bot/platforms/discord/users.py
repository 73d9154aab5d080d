"""Who asks: Discord's members and users as the trunk's `User`, and whose budget a direct message spends."""

import asyncio
from collections import OrderedDict
from typing import TypeVar

import discord

from bot.core.clock import Clock
from bot.core.errors import NotAllowed, UserError
from bot.core.people import User
from bot.core.ttl_cache import TtlCache
from bot.moderation.moderation import Moderation
from bot.platforms.discord.channels import NAME, USER_INSTALLS, is_user_install

V = TypeVar("V")

HOME_SECONDS = 600.0
"""How long it is believed which server somebody who writes directly is in."""
STRANGER_SECONDS = 20.0
"""How long it is believed that somebody is in none, so that who writes on and on is not looked for each time."""
_MOST_ASKED = 50
"""How many servers are asked whether somebody is in them."""
_ASKED_AT_ONCE = 10
_MOST_REMEMBERED = 10_000


class DiscordUsers:
    """Knows people by what Discord sends along, and looks up the rest."""

    def __init__(
        self, client: discord.Client, moderation: Moderation, clock: Clock, *, allow_user_installs: bool
    ) -> None:
        self._client = client
        self._moderation = moderation
        self._allow_user_installs = allow_user_installs
        self._homes: TtlCache[int, User | None] = TtlCache(clock, HOME_SECONDS)
        self._looked: TtlCache[int, User | None] = TtlCache(clock, STRANGER_SECONDS)
        self._seen_in: OrderedDict[int, dict[int, None]] = OrderedDict()
        self._locales: OrderedDict[int, str] = OrderedDict()

    async def get_interaction_user(self, interaction: discord.Interaction, *, is_anywhere: bool = False) -> User:
        """Who acted. Raises `NotAllowed` for somebody in direct messages whom no server of ours knows.

        `is_anywhere`: what they ask for is given to strangers as well.
        """
        person, locale = interaction.user, str(interaction.locale)
        self._locales.pop(person.id, None)
        _remember(self._locales, person.id, locale)
        if is_user_install(interaction):
            return User(NAME, USER_INSTALLS, str(person.id), person.display_name, locale)
        if isinstance(person, discord.Member):
            return self._build_member_user(person, interaction.permissions)
        return await self._find_home_user(person, is_anywhere=is_anywhere)

    async def get_message_author(self, message: discord.Message) -> User:
        """Who wrote. Raises as `of_interaction` does."""
        if isinstance(message.author, discord.Member):
            return self._build_member_user(message.author, message.author.guild_permissions)
        return await self._find_home_user(message.author)

    def _build_member_user(self, member: discord.Member, permissions: discord.Permissions) -> User:
        _remember(self._seen_in, member.id, {}).setdefault(member.guild.id)
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
        """Somebody who writes directly, as a member of a server that both are in and that is allowed."""
        home = await self._homes.get(person.id, lambda: self._looked.get(person.id, lambda: self._find_home(person.id)))
        if home is not None:
            return home
        if self._allow_user_installs or is_anywhere:
            locale = self._locales.get(person.id, "en")
            return User(NAME, USER_INSTALLS, str(person.id), person.display_name, locale)
        self._homes.invalidate(person.id)
        raise NotAllowed("We share no server where I may be used, so there is no budget I could spend for you here.")

    async def _find_home(self, person: int) -> User | None:
        """Several servers are asked at once: somebody may be waiting for a form, which cannot be put off."""
        seen = self._seen_in.get(person, {})
        guilds = sorted(self._client.guilds, key=lambda guild: (guild.id not in seen, guild.id))
        allowed = [guild for guild in guilds if await self._is_allowed(guild)][:_MOST_ASKED]
        for start in range(0, len(allowed), _ASKED_AT_ONCE):
            asked = allowed[start : start + _ASKED_AT_ONCE]
            for member in await asyncio.gather(*(_fetch_member(guild, person) for guild in asked)):
                if member is not None:
                    return self._build_member_user(member, member.guild_permissions)
        return None

    async def _is_allowed(self, guild: discord.Guild) -> bool:
        try:
            await self._moderation.admit(User(NAME, str(guild.id), "", ""))
        except UserError:
            return False
        return True


async def _fetch_member(guild: discord.Guild, person: int) -> discord.Member | None:
    try:
        return await guild.fetch_member(person)
    except (TimeoutError, discord.HTTPException, OSError):
        return None


def _remember(kept: "OrderedDict[int, V]", key: int, value: V) -> V:
    """Keep a value, and let the oldest go where there are too many."""
    value = kept.setdefault(key, value)
    if len(kept) > _MOST_REMEMBERED:
        kept.popitem(last=False)
    return value
