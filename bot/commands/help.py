"""/help: what can be asked, drawn from the menu."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, Declaration, Option, OptionKind, command, option
from bot.dispatch.forms import bounds
from bot.dispatch.parser import find
from bot.dispatch.services import Services


@command("help", private=True)
class Help(Command):
    """Show what I can do."""

    topic: str | None = option("Which command do you want to know more about?", default=None)

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        if self.topic:
            return Reply(text=_one(find(services.menu, self.topic.removeprefix("/")).declaration), is_private=True)
        lines = [_line(form.declaration) for form in services.menu]
        more = "Type `/help imagine` for the options of one command. Words without a command are a chat."
        return Reply(text="\n".join([*lines, "", more]), is_private=True)


def _line(declaration: Declaration) -> str:
    only = {Rank.USER: "", Rank.MODERATOR: " *(moderators)*", Rank.OWNER: " *(owner)*"}[declaration.rank]
    return f"- `/{declaration.name}` {declaration.description}{only}"


def _one(declaration: Declaration) -> str:
    lines = [f"**/{declaration.name}** {declaration.description}", ""]
    lines += [f"- `--{option.name}` {option.question}{_details(option)}" for option in declaration.options]
    return "\n".join(lines)


def _details(option: Option) -> str:
    facts = []
    if option.choices:
        facts.append(", ".join(option.choices))
    elif option.kind is OptionKind.FLAG:
        facts.append("yes or no")
    elif option.minimum is not None or option.maximum is not None:
        facts.append(bounds(option.minimum, option.maximum))
    if option.is_required:
        facts.append("needed")
    elif option.default not in (None, "", False):
        facts.append(f"{option.default} if you say nothing")
    return f" ({'; '.join(facts)})" if facts else ""
