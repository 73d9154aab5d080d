"""/privacy export: everything that is kept about whoever asks, as a file."""

from bot.core.invocations import Invocation
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, command
from bot.dispatch.services import Services
from bot.jobs.personal import person_from_user


@command("privacy export", private=True, works_anywhere=True)
class PrivacyExport(Command):
    """Get everything I keep about you, as a file."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        file = await services.jobs.personal_data.export(person_from_user(invocation.user))
        text = "Here is everything I keep about you. `/privacy delete` deletes it."
        return Reply(text=text, files=(file,), is_private=True)
