"""The services that a command may use."""

from collections.abc import Sequence
from dataclasses import dataclass

from bot.catalogue.catalogue import Catalogue
from bot.conversations.conversations import Conversations
from bot.credits.credits import Credits
from bot.dispatch.declaration import Command
from bot.dispatch.notices import Notices
from bot.jobs.jobs import Jobs
from bot.media.media import Media
from bot.moderation.moderation import Moderation


@dataclass(frozen=True, slots=True)
class Services:
    """Handed to every command's `answer`."""

    jobs: Jobs
    conversations: Conversations
    catalogue: Catalogue
    credits: Credits
    moderation: Moderation
    notices: Notices
    media: Media
    menu: Sequence[type[Command]]
