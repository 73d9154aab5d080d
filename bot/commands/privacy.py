"""/privacy: exports or deletes the data of the user."""

from bot.core.errors import ConfirmationRequired
from bot.core.invocations import Invocation
from bot.core.platform import get_platform_syntax
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, Services, command
from bot.jobs.deletion import person_from_user

_TOO_MUCH = """\
Here is the beginning of what I keep about you: all of it is more than a message can carry. \
Ask the owner for the whole file, which `python -m bot privacy export {person}` makes. `/privacy delete` deletes it."""


@command("privacy export", private=True, works_anywhere=True)
class PrivacyExport(Command):
    """Get everything I keep about you, as a file."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        person = person_from_user(invocation.user)
        file, is_complete = await services.jobs.personal_data.export(person)
        text = "Here is everything I keep about you. `/privacy delete` deletes it."
        if not is_complete:
            text = _TOO_MUCH.format(person=f"{person.platform}:{':'.join(filter(None, (person.workspace, person.id)))}")
        return Reply(text=text, files=(file,), is_private=True)


_QUESTION = """\
This deletes what you asked, the answers and pictures you got, your conversations and your name, {where}. \
What you are running is stopped, and what I posted for you is taken down where I still can. It cannot be undone.
What it cost stays in the books, with your id and without a word of it. A block and limits by moderators stay too. \
If you use me on another platform as well, ask there too: I do not know that it is you."""


@command("privacy delete", private=True, works_anywhere=True)
class PrivacyDelete(Command):
    """Delete everything I keep about you."""

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        user = invocation.user
        if not invocation.is_confirmed:
            where = get_platform_syntax(user.platform).id_scope
            raise ConfirmationRequired(_QUESTION.format(where=where), button_label="Delete everything")
        if await services.jobs.personal_data.delete(person_from_user(user), user):
            return Reply(text="It is gone. Amounts stay in the books, without words.", is_private=True)
        # The deletion goes on in the background, after a restart too: a reply cannot wait for the cancelled runs.
        text = "I am deleting it: what was running is stopped first, and there is much of it. It goes on without you."
        return Reply(text=text, is_private=True)
