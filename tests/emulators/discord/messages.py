"""Messages as people see them: text, pictures, buttons, and each earlier version."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.emulators.changes import DEFAULT_TIMEOUT_SECONDS
from tests.emulators.discord.state import DiscordChannelState, DiscordUserState, Json

if TYPE_CHECKING:
    from tests.emulators.discord.interactions import DiscordInteractionState


EPHEMERAL, LOADING, HAS_THREAD, COMPONENTS_V2, SUPPRESS_NOTIFICATIONS = 1 << 6, 1 << 7, 1 << 5, 1 << 15, 1 << 12
ROW, BUTTON, STRING_SELECT, SECTION, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE = 1, 2, 3, 9, 10, 11, 12, 13
SELECTS = (3, 5, 6, 7, 8)
_SYSTEM_KINDS = (18, 21)


@dataclass(eq=False)
class DiscordAttachmentState:
    """A file of a message. `description` is the alt text."""

    id: int
    filename: str
    data: bytes
    content_type: str
    url: str
    description: str | None = None
    size_in_pixels: tuple[int, int] | None = None
    is_ephemeral: bool = False
    voice_seconds: float | None = None
    waveform: str = "AAAA"


@dataclass(frozen=True)
class DiscordPictureState:
    """A visible picture of a gallery or thumbnail. `data` is empty for a file outside the CDN."""

    url: str
    data: bytes
    filename: str
    alt_text: str | None
    is_spoiler: bool


@dataclass(frozen=True)
class DiscordButtonState:
    """A visible button; `custom_id` is empty for links."""

    label: str
    custom_id: str
    style: int
    is_disabled: bool
    url: str | None = None
    emoji: str | None = None


@dataclass(frozen=True)
class DiscordMessageVersion:
    """The visible content of a message from `at` (Unix seconds) on."""

    at: float
    content: str
    components: tuple[Json, ...]
    embeds: tuple[Json, ...]
    attachments: tuple[DiscordAttachmentState, ...]
    flags: int

    @property
    def text(self) -> str:
        return extract_text(self.content, self.embeds, self.components)

    @property
    def button_labels(self) -> list[str]:
        return [button.label for button in extract_buttons(self.components)]

    def has_same_content(self, other: "DiscordMessageVersion") -> bool:
        return replace(self, at=0.0) == replace(other, at=0.0)


@dataclass(eq=False)
class DiscordMessageState:
    """`kind` is Discord's message type: 0 default, 19 reply, 20 and 23 responses to commands. `versions` has every
    edit.
    """

    id: int
    channel: DiscordChannelState
    author: DiscordUserState
    created_at: float
    kind: int = 0
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[DiscordAttachmentState] = field(default_factory=list)
    poll: Json | None = None
    flags: int = 0
    nonce: str | int | None = None
    reference: "DiscordMessageState | None" = None
    forwarded: "DiscordMessageState | None" = None
    """The message that this message forwards; the snapshot holds no author."""
    interaction: "DiscordInteractionState | None" = None
    """The interaction that the message responds to."""
    visible_to: DiscordUserState | None = None
    """The only reader of an ephemeral message."""
    mentions: list[DiscordUserState] = field(default_factory=list)
    mentions_everyone: bool = False
    mentioned_roles: list[int] = field(default_factory=list)
    notified_users: list[DiscordUserState] = field(default_factory=list)
    """Users who got a notification."""
    thread: DiscordChannelState | None = None
    edited_at: float | None = None
    is_deleted: bool = False
    old_edit_count: int = 0
    reactions: dict[str, list[DiscordUserState]] = field(default_factory=dict)
    versions: list[DiscordMessageVersion] = field(default_factory=list)

    @property
    def is_system(self) -> bool:
        return self.kind in _SYSTEM_KINDS

    @property
    def is_ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    @property
    def is_thinking(self) -> bool:
        """Return whether the platform shows “… is thinking”: deferred, without a response yet."""
        return bool(self.flags & LOADING)

    @property
    def is_v2(self) -> bool:
        return bool(self.flags & COMPONENTS_V2)

    @property
    def text(self) -> str:
        """Return all text in visible order: content, embeds, text displays."""
        return extract_text(self.content, self.embeds, self.components)

    @property
    def buttons(self) -> list[DiscordButtonState]:
        return extract_buttons(self.components)

    @property
    def button_labels(self) -> list[str]:
        return [button.label for button in self.buttons]

    @property
    def selects(self) -> list[Json]:
        return [node for node in walk_components(self.components) if node["type"] in SELECTS]

    @property
    def pictures(self) -> list[DiscordPictureState]:
        """Return the pictures of galleries and thumbnails, in order."""
        items = [item for node in walk_components(self.components) for item in _media_items(node)]
        return [self._picture(item) for item in items]

    async def wait_until(
        self,
        condition: "Callable[[DiscordMessageState], object]",
        description: str = "a change",
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> "DiscordMessageState":
        """Return this message once `condition` accepts the message. Raise `ConditionNotMet` on timeout."""
        full_description = f"{description} of a message that says {self.text!r}"
        return await self.channel.state.changes.wait_for(
            lambda: self if condition(self) else None, full_description, timeout_seconds
        )

    def find_attachment(self, filename: str) -> DiscordAttachmentState:
        return next(found for found in self.attachments if found.filename == filename)

    def record_version(self, at: float) -> None:
        shown = tuple(self.components), tuple(self.embeds), tuple(self.attachments)
        self.versions.append(DiscordMessageVersion(at, self.content, *shown, self.flags))

    def _picture(self, item: Json) -> DiscordPictureState:
        url = item["media"]["url"]
        found = next((attachment for attachment in self.attachments if attachment.url == url), None)
        data, filename = (found.data, found.filename) if found else (b"", "")
        return DiscordPictureState(url, data, filename, item.get("description"), bool(item.get("spoiler")))


def _media_items(node: Json) -> list[Json]:
    if node["type"] == GALLERY:
        return list(node["items"])
    return [node] if node["type"] == THUMBNAIL else []


def walk_components(components: Any) -> Iterator[Json]:
    """Yield each component, depth first, in reading order."""
    for node in components:
        yield node
        yield from walk_components(node.get("components") or ())
        for name in ("component", "accessory"):
            if node.get(name):
                yield from walk_components([node[name]])


def extract_text(content: str, embeds: Any, components: Any) -> str:
    parts = [content]
    for embed in embeds:
        parts += [embed.get("title") or "", embed.get("description") or ""]
        parts += [f"{entry['name']}: {entry['value']}" for entry in embed.get("fields", ())]
        parts.append((embed.get("footer") or {}).get("text", ""))
    parts += [node["content"] for node in walk_components(components) if node["type"] == TEXT_DISPLAY]
    return "\n".join(part for part in parts if part)


def extract_buttons(components: Any) -> list[DiscordButtonState]:
    return [
        DiscordButtonState(
            node.get("label") or "",
            node.get("custom_id") or "",
            node["style"],
            bool(node.get("disabled")),
            node.get("url"),
            (node.get("emoji") or {}).get("name"),
        )
        for node in walk_components(components)
        if node["type"] == BUTTON
    ]
