"""Who is what: owners by settings, moderators by their workspace, everyone else a user."""

from collections.abc import Collection
from dataclasses import dataclass

from bot.core.errors import NotAllowed
from bot.core.people import Rank, User

_NAMES = {Rank.OWNER: "the bot's owner", Rank.MODERATOR: "a moderator of this workspace"}


@dataclass(frozen=True, slots=True)
class Ranks:
    """`owners` holds (platform, workspace or empty, user id): Slack ids are only unique within a team."""

    owners: Collection[tuple[str, str, str]]

    def of(self, user: User) -> Rank:
        """The rank of a user where they ask."""
        if user.is_owner or {(user.platform, "", user.id), (user.platform, user.workspace, user.id)} & set(self.owners):
            return Rank.OWNER
        return Rank.MODERATOR if user.is_administrator else Rank.USER

    def require(self, user: User, rank: Rank, what: str) -> None:
        """Raise `NotAllowed`, which says who may."""
        if self.of(user) < rank:
            raise NotAllowed(f"{what} is for {_NAMES[rank]}.")
