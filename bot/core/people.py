"""Who asks and where: users, workspaces, channels and ranks."""

from dataclasses import dataclass
from enum import IntEnum


class Rank(IntEnum):
    """What a person may do, lowest first."""

    USER = 0
    MODERATOR = 1
    OWNER = 2


@dataclass(frozen=True, slots=True)
class Workspace:
    """A Discord guild, a Slack team, or the web page; what settings and budgets hang on."""

    platform: str
    id: str


@dataclass(frozen=True, slots=True)
class User:
    """Who asks, as they were when asking."""

    platform: str
    workspace: str
    id: str
    name: str
    locale: str = "en"
    roles: frozenset[str] = frozenset()
    is_administrator: bool = False
    """Whether the platform says that they administer this workspace."""
    is_owner: bool = False
    """Whether the platform says that the bot is theirs: only our own page can know."""

    @property
    def actor(self) -> str:
        """Who they are in the audit and in the ledger."""
        return f"{self.platform}:{self.workspace}:{self.id}"


@dataclass(frozen=True, slots=True)
class PersonKey:
    """The identity of a person at one platform, for personal data. An empty workspace stands for all workspaces."""

    platform: str
    workspace: str
    id: str


@dataclass(frozen=True, slots=True)
class Channel:
    """Where something is asked: a channel, and the thread in it if there is one."""

    platform: str
    workspace: str
    id: str
    thread: str = ""
    is_age_restricted: bool = False
    is_reply_chain: bool = False
    """The conversation continues by replies to the message `thread`: the platform has no thread there."""
