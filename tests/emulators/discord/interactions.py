"""The state of an interaction, and the waits of the person who started the interaction."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests.emulators.changes import DEFAULT_TIMEOUT_SECONDS
from tests.emulators.discord.state import DiscordChannelState, DiscordState, DiscordUserState, Json

if TYPE_CHECKING:
    from tests.emulators.discord.messages import DiscordMessageState


COMMAND, COMPONENT, AUTOCOMPLETE, MODAL_SUBMIT = 2, 3, 4, 5
MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE, CHOICES, MODAL = 4, 5, 6, 7, 8, 9
ACKNOWLEDGEMENT_SECONDS = 3.0
TOKEN_SECONDS = 15 * 60.0


@dataclass(eq=False)
class DiscordModalState:
    """A form shown to a person."""

    interaction: "DiscordInteractionState"
    custom_id: str
    title: str
    components: list[Json]


@dataclass(eq=False)
class DiscordInteractionState:
    """A command, a button press, an autocompletion or a submitted form.

    Await a `wait_for_…` method for the first reaction of the bot; read `replies` for all messages.
    """

    id: int
    token: str
    kind: int
    state: DiscordState
    user: DiscordUserState
    channel: DiscordChannelState
    data: Json
    sent_at: float
    context: int
    installation_owners: dict[str, str]
    source_message: "DiscordMessageState | None" = None
    upload_limit_bytes: int = 0
    was_delivered: bool = True
    """False if no client was connected when the person acted."""
    acknowledged_at: float | None = None
    response_kind: int | None = None
    original_message: "DiscordMessageState | None" = None
    """The message `@original`: the response's message, or the pressed message after an update."""
    replies: list["DiscordMessageState"] = field(default_factory=list)
    """All messages of the interaction, ephemeral messages included, oldest first."""
    modal: DiscordModalState | None = None
    choices: list[Json] | None = None
    has_edited_source_message: bool = False

    @property
    def is_late(self) -> bool:
        """Return whether the person reads “The application did not respond”."""
        waited = (self.acknowledged_at or self.state.clock.now()) - self.sent_at
        return waited > self.state.clock.scale(ACKNOWLEDGEMENT_SECONDS)

    @property
    def is_expired(self) -> bool:
        """Return whether the token is expired."""
        return self.state.clock.now() - self.sent_at > self.state.clock.scale(TOKEN_SECONDS)

    @property
    def is_acknowledged(self) -> bool:
        return self.acknowledged_at is not None

    @property
    def acknowledgement_seconds(self) -> float:
        """Return seconds from the person's act to the acknowledgement."""
        assert self.acknowledged_at is not None, "not acknowledged yet"
        return self.acknowledged_at - self.sent_at

    @property
    def private_replies(self) -> list["DiscordMessageState"]:
        """Return the ephemeral messages that are not deleted."""
        return [message for message in self.replies if message.is_ephemeral and not message.is_deleted]

    async def wait_for_acknowledgement(self, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> float:
        """Return seconds from the person's act to the acknowledgement."""
        await self.state.changes.wait_for(
            lambda: self.is_acknowledged, f"an acknowledgement of {self}", timeout_seconds
        )
        return self.acknowledgement_seconds

    async def wait_for_message(self, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> "DiscordMessageState":
        """Return the first message with content; “is thinking” does not count."""
        return await self.state.changes.wait_for(self._find_message, f"a message from {self}", timeout_seconds)

    async def wait_for_private_message(self, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> "DiscordMessageState":
        """Return the first ephemeral message with content; “is thinking” does not count."""
        return await self.state.changes.wait_for(
            self._find_private_message, f"a private message from {self}", timeout_seconds
        )

    async def wait_for_modal(self, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> DiscordModalState:
        return await self.state.changes.wait_for(lambda: self.modal, f"a modal from {self}", timeout_seconds)

    async def wait_for_choices(self, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> list[Json]:
        """Return the choices of an autocompletion: `[{"name", "value"}]`."""
        await self.state.changes.wait_for(lambda: self.choices is not None, f"choices from {self}", timeout_seconds)
        return self.choices or []

    def _find_message(self) -> "DiscordMessageState | None":
        if self.has_edited_source_message:
            return self.source_message
        return next((found for found in self.replies if not (found.is_thinking or found.is_deleted)), None)

    def _find_private_message(self) -> "DiscordMessageState | None":
        return next((found for found in self.private_replies if not found.is_thinking), None)

    def __str__(self) -> str:
        names = {COMMAND: "/", COMPONENT: "press of ", AUTOCOMPLETE: "autocompletion of ", MODAL_SUBMIT: "form "}
        return names[self.kind] + str(self.data.get("name") or self.data.get("custom_id"))
