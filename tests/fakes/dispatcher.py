"""A dispatcher with scripted replies and a small menu."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from bot.catalogue.catalogue import Catalogue
from bot.core.invocations import Attachment, Invocation, Link
from bot.core.replies import Reply
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.declaration import Choice, Command, OptionValue, Services, command, option
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.notices import Notices
from bot.moderation.moderation import Authorizer, Moderation

Answer = Callable[[Invocation], Awaitable[Reply | None]]


def suggest_colours(_: Services, typed: str, _given: Mapping[str, OptionValue]) -> Sequence[Choice]:
    return [Choice(f"{name} paint", name) for name in ("madder", "ochre", "umber") if name.startswith(typed)]


@command("draw")
class Draw(Command):
    """Draw something."""

    prompt: str = option("What?", max_length=100, words=True)
    count: int = option("How many?", default=1, minimum=1, maximum=4)
    aspect: str | None = option("Which shape?", default=None, choices=("1:1", "16:9"))
    colour: str = option("Which colour?", default="", autocomplete=suggest_colours)
    image: Attachment | Link | None = option("Start from?", default=None)


@command("chat")
class Talk(Command):
    """Talk."""

    message: str = option("What do you say?", words=True)


MENU: tuple[type[Command], ...] = (Draw, Talk)


async def _answer_nothing(_: Invocation) -> Reply | None:
    return None


@dataclass
class DispatcherScript:
    """The replies to give, and the calls received."""

    answer: Answer = _answer_nothing
    press_reply: Reply | None = None
    invocations: list[Invocation] = field(default_factory=list)
    presses: list[ButtonPress] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ScriptedDispatcher(Dispatcher):
    """Records all calls in the script, and replies by the script."""

    script: DispatcherScript = field(default_factory=DispatcherScript)

    async def handle(self, invocation: Invocation) -> Reply | None:
        self.script.invocations.append(invocation)
        return await self.script.answer(invocation)

    async def handle_press(self, press: ButtonPress) -> Reply | None:
        self.script.presses.append(press)
        return self.script.press_reply


# Users of these tests have no roles: moderation is never asked.
NO_MODERATION = cast(Moderation, SimpleNamespace())


def _create_services() -> Services:
    services = SimpleNamespace(menu=MENU, catalogue=Catalogue([]))

    async def prepare_suggestions(*_: object) -> SimpleNamespace:
        return services

    services.prepare_suggestions = prepare_suggestions
    return cast(Services, services)


def make_scripted_dispatcher(script: DispatcherScript) -> ScriptedDispatcher:
    """Return a dispatcher whose menu is `MENU`."""
    return ScriptedDispatcher(
        _create_services(),
        Authorizer((), NO_MODERATION),
        Notices({}, NO_MODERATION, ()),
        script,
    )
