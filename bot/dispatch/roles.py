"""Who is what: owners by settings, moderators by their workspace, everyone else a user."""

from collections.abc import Collection
from dataclasses import dataclass

from bot.core.errors import NotAllowed
from bot.core.people import Rank, User
from bot.moderation.moderation import Moderation


@dataclass(frozen=True, slots=True)
class Authorizer:
    """`owners` holds (platform, workspace or empty, user id): Slack ids are only unique within a team."""

    owners: Collection[tuple[str, str, str]]
    moderation: Moderation

    async def get_rank(self, user: User) -> Rank:
        """The rank of a user where they ask."""
        if user.is_owner or {(user.platform, "", user.id), (user.platform, user.workspace, user.id)} & set(self.owners):
            return Rank.OWNER
        if user.is_administrator:
            return Rank.MODERATOR
        settings = await self.moderation.get_settings(user.platform, user.workspace) if user.roles else None
        return Rank.MODERATOR if settings and settings.moderator_roles & user.roles else Rank.USER

    async def require(self, user: User, rank: Rank, what: str) -> Rank:
        """The rank of a user, looked up only where one is asked for. Raises `NotAllowed`, which says who may."""
        has = Rank.USER if rank is Rank.USER else await self.get_rank(user)
        if has < rank:
            who = (
                "a moderator of this workspace"
                if rank is Rank.MODERATOR
                else self.moderation.format_owner_contact(user.platform)
            )
            raise NotAllowed(f"{what} is for {who}.")
        return has
