"""A posted message, as people see it: its words, pictures and buttons, and each version it had."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tests.emulators.discord.changes import PATIENCE
from tests.emulators.discord.world import Channel, Json, User

if TYPE_CHECKING:
    from tests.emulators.discord.interactions import Interaction

EPHEMERAL, LOADING, HAS_THREAD, COMPONENTS_V2, SUPPRESS_NOTIFICATIONS = 1 << 6, 1 << 7, 1 << 5, 1 << 15, 1 << 12
ROW, BUTTON, STRING_SELECT, SECTION, TEXT_DISPLAY, THUMBNAIL, GALLERY, FILE = 1, 2, 3, 9, 10, 11, 12, 13
SELECTS = (3, 5, 6, 7, 8)
_SYSTEM_KINDS = (18, 21)


@dataclass(eq=False)
class Attachment:
    """A file of a message. `data` are its bytes, `description` its alt text."""

    id: int
    filename: str
    data: bytes
    content_type: str
    url: str
    description: str | None = None
    size_in_pixels: tuple[int, int] | None = None
    is_ephemeral: bool = False


@dataclass(frozen=True)
class Picture:
    """A picture of a gallery or thumbnail, as seen. `data` is empty where the file lies elsewhere."""

    url: str
    data: bytes
    filename: str
    alt_text: str | None
    is_spoiler: bool


@dataclass(frozen=True)
class Button:
    """As seen; `custom_id` is empty for links."""

    label: str
    custom_id: str
    style: int
    is_disabled: bool
    url: str | None = None
    emoji: str | None = None


@dataclass(frozen=True)
class Version:
    """What the message showed from `at` (Unix seconds) on."""

    at: float
    content: str
    components: tuple[Json, ...]
    embeds: tuple[Json, ...]
    attachments: tuple[Attachment, ...]
    flags: int

    @property
    def text(self) -> str:
        return text_of(self.content, self.embeds, self.components)

    @property
    def labels(self) -> list[str]:
        return [button.label for button in buttons_of(self.components)]

    def shows_the_same_as(self, other: "Version") -> bool:
        return replace(self, at=0.0) == replace(other, at=0.0)


@dataclass(eq=False)
class Message:
    """`kind` is Discord's type: 0 ordinary, 19 a reply, 20 and 23 answers to commands. `versions` holds every edit."""

    id: int
    channel: Channel
    author: User
    created_at: float
    kind: int = 0
    content: str = ""
    embeds: list[Json] = field(default_factory=list)
    components: list[Json] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)
    flags: int = 0
    nonce: str | int | None = None
    reference: "Message | None" = None
    interaction: "Interaction | None" = None
    """The interaction it answers."""
    visible_to: User | None = None
    """Whom an ephemeral message is shown to."""
    mentions: list[User] = field(default_factory=list)
    mentions_everyone: bool = False
    mentioned_roles: list[int] = field(default_factory=list)
    pings: list[User] = field(default_factory=list)
    """Who was really notified."""
    thread: Channel | None = None
    edited_at: float | None = None
    is_deleted: bool = False
    old_edits: int = 0
    reactions: dict[str, list[User]] = field(default_factory=dict)
    versions: list[Version] = field(default_factory=list)

    @property
    def is_system(self) -> bool:
        return self.kind in _SYSTEM_KINDS

    @property
    def is_ephemeral(self) -> bool:
        return bool(self.flags & EPHEMERAL)

    @property
    def is_thinking(self) -> bool:
        """The platform shows “… is thinking”: a deferred answer that has not come."""
        return bool(self.flags & LOADING)

    @property
    def is_v2(self) -> bool:
        return bool(self.flags & COMPONENTS_V2)

    @property
    def text(self) -> str:
        """All words, in the order they are seen: content, embeds, text displays."""
        return text_of(self.content, self.embeds, self.components)

    @property
    def buttons(self) -> list[Button]:
        return buttons_of(self.components)

    @property
    def labels(self) -> list[str]:
        return [button.label for button in self.buttons]

    @property
    def selects(self) -> list[Json]:
        return [node for node in walk(self.components) if node["type"] in SELECTS]

    @property
    def gallery(self) -> list[Picture]:
        """The pictures of its galleries and thumbnails, in order."""
        items = [item for node in walk(self.components) for item in _media_items(node)]
        return [self._picture(item) for item in items]

    async def becomes(
        self, look: "Callable[[Message], object]", what: str = "a change", patience: float = PATIENCE
    ) -> "Message":
        """This message, once `look` likes it."""
        told = f"{what} of a message that says {self.text!r}"
        return await self.channel.world.changes.until(lambda: self if look(self) else None, told, patience)

    def file(self, filename: str) -> Attachment:
        return next(found for found in self.attachments if found.filename == filename)

    def remember_version(self, at: float) -> None:
        shown = tuple(self.components), tuple(self.embeds), tuple(self.attachments)
        self.versions.append(Version(at, self.content, *shown, self.flags))

    def _picture(self, item: Json) -> Picture:
        url = item["media"]["url"]
        found = next((one for one in self.attachments if one.url == url), None)
        data, filename = (found.data, found.filename) if found else (b"", "")
        return Picture(url, data, filename, item.get("description"), bool(item.get("spoiler")))


def _media_items(node: Json) -> list[Json]:
    if node["type"] == GALLERY:
        return list(node["items"])
    return [node] if node["type"] == THUMBNAIL else []


def walk(components: Any) -> Iterator[Json]:
    """Each component, depth first, as people read them."""
    for node in components:
        yield node
        yield from walk(node.get("components") or ())
        for name in ("component", "accessory"):
            if node.get(name):
                yield from walk([node[name]])


def text_of(content: str, embeds: Any, components: Any) -> str:
    parts = [content]
    for embed in embeds:
        parts += [embed.get("title") or "", embed.get("description") or ""]
        parts += [f"{entry['name']}: {entry['value']}" for entry in embed.get("fields", ())]
        parts.append((embed.get("footer") or {}).get("text", ""))
    parts += [node["content"] for node in walk(components) if node["type"] == TEXT_DISPLAY]
    return "\n".join(part for part in parts if part)


def buttons_of(components: Any) -> list[Button]:
    return [
        Button(
            node.get("label") or "",
            node.get("custom_id") or "",
            node["style"],
            bool(node.get("disabled")),
            node.get("url"),
            (node.get("emoji") or {}).get("name"),
        )
        for node in walk(components)
        if node["type"] == BUTTON
    ]
