"""/help: lists the commands of the menu, or the options of one command."""

from bot.core.invocations import Invocation
from bot.core.people import Rank
from bot.core.platform import format_option
from bot.core.replies import Reply
from bot.dispatch.declaration import Command, Declaration, Option, OptionKind, Services, command, option
from bot.dispatch.forms import format_bounds
from bot.dispatch.parsing import find_command


@command("help", private=True)
class Help(Command):
    """Show what I can do."""

    topic: str | None = option(
        "Which command do you want to know more about?", default=None, max_length=100, words=True
    )

    async def answer(self, invocation: Invocation, services: Services) -> Reply:
        menu = [form.declaration for form in services.menu]
        if self.topic:
            topic = " ".join(self.topic.lower().removeprefix("/").split())
            verbs = [declaration for declaration in menu if declaration.name.startswith(f"{topic} ")]
            if verbs and topic not in {declaration.name for declaration in menu}:
                return Reply(text="\n".join(map(_format_line, verbs)), is_private=True)
            text = _format_command(find_command(services.menu, topic).declaration, invocation.user.platform)
            return Reply(text=text, is_private=True)
        lines = [_format_line(declaration) for declaration in menu if declaration.rank is Rank.USER]
        for rank, title in ((Rank.MODERATOR, "Moderators"), (Rank.OWNER, "The owner")):
            if names := _format_groups([declaration for declaration in menu if declaration.rank is rank]):
                lines += ["", f"{title}: {names}"]
        more = "Type `/help imagine` for the options of one command. Words without a command are a chat."
        return Reply(text="\n".join([*lines, "", more]), is_private=True)


def _format_line(declaration: Declaration) -> str:
    only = {Rank.USER: "", Rank.MODERATOR: " *(moderators)*", Rank.OWNER: " *(owner)*"}[declaration.rank]
    return f"- `/{declaration.name}` {declaration.description}{only}"


def _format_groups(declarations: list[Declaration]) -> str:
    """Return names in one line, the commands of a group together: "`/words` add, list · `/jobs`"."""
    groups: dict[str, list[str]] = {}
    for declaration in declarations:
        first, _, rest = declaration.name.partition(" ")
        groups.setdefault(first, []).extend([rest] if rest else [])
    return " · ".join(f"`/{first}`{' ' if verbs else ''}{', '.join(verbs)}" for first, verbs in groups.items())


def _format_command(declaration: Declaration, platform: str) -> str:
    lines = [f"**/{declaration.name}** {declaration.description}", ""]
    lines += [
        f"- `{format_option(platform, option.name)}` {option.question}{_format_details(option)}"
        for option in declaration.options
    ]
    return "\n".join(lines)


def _format_details(option: Option) -> str:
    facts = []
    if option.choices:
        facts.append(", ".join(option.choices))
    elif option.kind is OptionKind.FLAG:
        facts.append("yes or no")
    elif option.minimum is not None or option.maximum is not None:
        facts.append(format_bounds(option.minimum, option.maximum))
    if option.is_required and option.kind is OptionKind.FILE:
        facts.append("the last picture here if you give none")
    elif option.is_required:
        facts.append("needed")
    elif option.default not in (None, "", False):
        facts.append(f"{option.default} if you say nothing")
    return f" ({'; '.join(facts)})" if facts else ""
