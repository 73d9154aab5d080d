"""Suggestions while somebody types, from memory alone: Discord waits three seconds and takes no excuse."""

from bot.core.errors import UserError
from bot.dispatch.parser import find_command
from bot.dispatch.services import Services
from bot.platforms.discord.commands import Payload, SlashInvocation

_MOST, _LONGEST = 25, 100


def list_suggestions(services: Services, typing: SlashInvocation) -> list[Payload]:
    """At most 25 choices for the option that is being typed; none for what is unknown."""
    try:
        option = find_command(services.menu, typing.command).declaration.option(typing.focused_option)
    except UserError:
        return []
    if option is None:
        return []
    typed = str(typing.options.get(typing.focused_option, ""))
    if option.autocomplete is not None:
        choices = [(choice.label, choice.value) for choice in option.autocomplete(services, typed)]
    else:
        choices = [(choice, choice) for choice in option.choices if typed.lower() in choice.lower()]
    return [{"name": label[:_LONGEST], "value": value} for label, value in choices if len(value) <= _LONGEST][:_MOST]
