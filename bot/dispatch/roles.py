"""Ranks of users: owners by the settings, moderators by their workspace, other people as plain users."""

from collections.abc import Collection
from dataclasses import dataclass

from bot.core.errors import NotAllowed
from bot.core.people import Rank, User
from bot.moderation.moderation import Moderation


@dataclass(frozen=True, slots=True)
class Authorizer:
    """Checks the rank of users. `owners` holds (platform, workspace or empty, user id)."""

    # With a workspace, since an id of a Slack user is unique only within a team.
    owners: Collection[tuple[str, str, str]]
    moderation: Moderation

    async def get_rank(self, user: User) -> Rank:
        """Return the rank of a user in the user's workspace."""
        if user.is_owner or {(user.platform, "", user.id), (user.platform, user.workspace, user.id)} & set(self.owners):
            return Rank.OWNER
        if user.is_administrator:
            return Rank.MODERATOR
        if not user.roles:
            return Rank.USER
        settings = await self.moderation.get_settings(user.platform, user.workspace)
        return Rank.MODERATOR if settings.moderator_roles & user.roles else Rank.USER

    async def require(self, user: User, rank: Rank, action: str) -> Rank:
        """Return the user's rank, `USER` without a look-up if `USER` is enough.

        Raise `NotAllowed`, whose text names the people with the rank, if the user's rank is lower than `rank`.
        """
        if rank is Rank.USER:
            return Rank.USER
        user_rank = await self.get_rank(user)
        if user_rank < rank:
            allowed = (
                "a moderator of this workspace"
                if rank is Rank.MODERATOR
                else self.moderation.format_owner_contact(user.platform)
            )
            raise NotAllowed(f"{action} is for {allowed}.")
        return user_rank
