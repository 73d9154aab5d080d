"""One interaction from both sides: what the platform keeps of it, and what the person who started it can wait for."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.emulators.discord.changes import PATIENCE
from tests.emulators.discord.world import Channel, Json, User, World

if TYPE_CHECKING:
    from tests.emulators.discord.messages import Message

COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
SECONDS_TO_ACKNOWLEDGE = 3.0
SECONDS_OF_TOKEN = 15 * 60.0


@dataclass(eq=False)
class Modal:
    """A form that was shown to a person."""

    interaction: "Interaction"
    custom_id: str
    title: str
    components: list[Json]


@dataclass(eq=False)
class Interaction:
    """A command, a press, an autocompletion or a submitted form.

    Await `acknowledged`, `message`, `modal_shown` or `choices_shown`; read `replies` for everything it brought.
    """

    id: int
    token: str
    kind: int
    world: World
    user: User
    channel: Channel
    data: Json
    sent_at: float
    context: int
    owners: dict[str, str]
    message_pressed: "Message | None" = None
    upload_limit: int = 0
    was_heard: bool = True
    """Whether a client was connected when the person acted."""
    answered_at: float | None = None
    answer_kind: int | None = None
    original: "Message | None" = None
    """What `@original` is: the answer's message, or the pressed message after an update."""
    replies: list["Message"] = field(default_factory=list)
    """The messages it brought, ephemeral ones too, in order."""
    modal: Modal | None = None
    choices: list[Json] | None = None
    edited_pressed_message: bool = False

    @property
    def is_late(self) -> bool:
        """The person reads “The application did not respond”."""
        waited = (self.answered_at or self.world.clock.now()) - self.sent_at
        return waited > self.world.clock.span(SECONDS_TO_ACKNOWLEDGE)

    @property
    def is_expired(self) -> bool:
        """Its token is dead."""
        return self.world.clock.now() - self.sent_at > self.world.clock.span(SECONDS_OF_TOKEN)

    @property
    def is_answered(self) -> bool:
        return self.answered_at is not None

    @property
    def acknowledged_after(self) -> float:
        """Seconds from the person's act to the acknowledgement."""
        assert self.answered_at is not None, "not acknowledged yet"
        return self.answered_at - self.sent_at

    @property
    def private_replies(self) -> list["Message"]:
        """Those that only this person sees, without deleted ones."""
        return [message for message in self.replies if message.is_ephemeral and not message.is_deleted]

    async def acknowledged(self, patience: float = PATIENCE) -> float:
        """Seconds from the person's act to the acknowledgement."""
        await self.world.changes.until(lambda: self.is_answered, f"an acknowledgement of {self}", patience)
        return self.acknowledged_after

    async def message(self, patience: float = PATIENCE) -> "Message":
        """The first message it shows, once it is more than “thinking”."""
        return await self.world.changes.until(self._first_message, f"a message from {self}", patience)

    async def private_message(self, patience: float = PATIENCE) -> "Message":
        """The first message that only this person sees, once it is more than “thinking”."""
        return await self.world.changes.until(self._first_private, f"a private message from {self}", patience)

    async def modal_shown(self, patience: float = PATIENCE) -> Modal:
        return await self.world.changes.until(lambda: self.modal, f"a modal from {self}", patience)

    async def choices_shown(self, patience: float = PATIENCE) -> list[Json]:
        """The choices of an autocompletion: `[{"name", "value"}]`."""
        await self.world.changes.until(lambda: self.choices is not None, f"choices from {self}", patience)
        return self.choices or []

    def _first_message(self) -> "Message | None":
        if self.edited_pressed_message:
            return self.message_pressed
        return next((found for found in self.replies if not (found.is_thinking or found.is_deleted)), None)

    def _first_private(self) -> "Message | None":
        return next((found for found in self.private_replies if not found.is_thinking), None)

    def __str__(self) -> str:
        names = {COMMAND: "/", COMPONENT: "press of ", AUTOCOMPLETE: "autocompletion of ", MODAL_SUBMIT: "form "}
        return names[self.kind] + str(self.data.get("name") or self.data.get("custom_id"))
