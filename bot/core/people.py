"""Users, ranks, workspaces and channels."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from bot.core.text import mend_text


class Rank(IntEnum):
    """The permissions of a user, lowest first."""

    USER = 0
    MODERATOR = 1
    OWNER = 2


@dataclass(frozen=True, slots=True)
class Workspace:
    """A Discord guild, a Slack team, or the web page. Each workspace has its own settings and budgets."""

    platform: str
    id: str


@dataclass(frozen=True, slots=True)
class Actor:
    """The author of a change, for the audit and the ledger: a user in a workspace, or a part of the bot."""

    platform: str = ""
    workspace: str = ""
    user: str = ""
    part: str = ""
    """The part of the bot; empty for users. The other fields of a part are empty."""

    def __post_init__(self) -> None:
        if self.part and (self.platform or self.workspace or self.user):
            raise ValueError(f"{self} is both a user and a part of the bot")


BOT: Final = Actor(part="bot")
POLICY: Final = Actor(part="policy")
"""The author of grants and limits: the bot, by the policies in force."""


@dataclass(frozen=True, slots=True)
class User:
    """A user at the time of a request."""

    platform: str
    workspace: str
    id: str
    name: str
    locale: str = "en"
    roles: frozenset[str] = frozenset()
    is_administrator: bool = False
    """Whether the platform reports the user as an administrator of this workspace."""
    is_owner: bool = False
    """Whether the platform reports the user as the bot's owner: only the web page can know."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", mend_text(self.name))

    @property
    def actor(self) -> Actor:
        """Return the user as the author of a change."""
        return Actor(self.platform, self.workspace, self.id)

    @property
    def author(self) -> str:
        """Return the user as the author of messages and conversations, in any workspace."""
        return format_author(self.platform, self.id)


def format_author(platform: str, user: str) -> str:
    """Return the text that stands for an author. Names of platforms have no colon."""
    return f"{platform}:{user}"


def parse_author(text: str) -> str:
    """Return the id of the user behind an author's text; empty for the bot."""
    return text.partition(":")[2]


@dataclass(frozen=True, slots=True)
class PersonKey:
    """The identity of a person at one platform, for personal data. An empty workspace stands for all workspaces."""

    platform: str
    workspace: str
    id: str


@dataclass(frozen=True, slots=True)
class Channel:
    """The channel of a request, with the thread if there is one."""

    platform: str
    workspace: str
    id: str
    thread: str = ""
    is_age_restricted: bool = False
    is_reply_chain: bool = False
    """The conversation continues by replies to the message `thread`: the platform has no thread there.

    A conversation that begins with a request has the key of the request in place of the message, see `begins_with`.
    """

    def begins_with(self, request_key: str) -> bool:
        """Whether a conversation begins with the answer to a request: the answer has no id before it is posted."""
        return self.is_reply_chain and self.thread == request_key
