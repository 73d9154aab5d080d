"""Messages as people see them, with each earlier version."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.emulators.changes import DEFAULT_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from tests.emulators.slack.delivery import SlackDelivery
    from tests.emulators.slack.files import SlackFileState
    from tests.emulators.slack.state import SlackChannelState
    from tests.emulators.slack.streams import SlackStreamState


Json = dict[str, Any]

_PINGS = re.compile(r"<(?:!(?:here|channel|everyone)|!subteam\^\w+|@[UW]\w+)(?:\|[^>]*)?>")


@dataclass(frozen=True)
class SlackMessageVersion:
    """The visible content of a message from `at` (seconds of Slack's clock) on. `text` includes the blocks' texts."""

    at: float
    text: str
    blocks: tuple[Json, ...] = ()
    files: tuple["SlackFileState", ...] = ()


@dataclass(eq=False)
class SlackMessageState:
    """A message of the app (`bot_id`) or of a person, in a channel or visible only to `visible_to_user_id`."""

    channel: "SlackChannelState"
    ts: str
    user_id: str
    text: str = ""
    thread_ts: str | None = None
    bot_id: str | None = None
    blocks: list[Json] = field(default_factory=list)
    files: list["SlackFileState"] = field(default_factory=list)
    attachments: list[Json] = field(default_factory=list)
    metadata: Json | None = None
    visible_to_user_id: str | None = None
    stream: "SlackStreamState | None" = None
    versions: list[SlackMessageVersion] = field(default_factory=list)
    reactions: list[str] = field(default_factory=list)
    deliveries: list["SlackDelivery"] = field(default_factory=list)
    is_deleted: bool = False
    edited_at: str | None = None

    @property
    def is_from_bot(self) -> bool:
        return self.bot_id is not None

    @property
    def visible_text(self) -> str:
        """Return all visible text: of the stream, of the blocks, or of the message itself."""
        parts = [self.stream.text] if self.stream and not self.edited_at else []
        parts += list(_extract_texts(self.blocks)) if self.blocks else [] if parts else [self.text]
        return "\n".join(part for part in parts if part)

    @property
    def text_history(self) -> list[str]:
        return [version.text for version in self.versions]

    @property
    def mentions(self) -> list[str]:
        """Return all mentions that notify people, in the text or the blocks."""
        return _PINGS.findall(f"{self.text}\n{self.visible_text}")

    @property
    def elements(self) -> list[Json]:
        """Return all buttons, menus and inputs, in order."""
        return list(_list_elements(self.blocks))

    @property
    def button_labels(self) -> list[str]:
        """The labels of buttons, without Slack's buttons for feedback."""
        return [element["text"]["text"] for element in self.elements if element["type"] == "button"]

    @property
    def feedback_labels(self) -> list[str]:
        """The labels of Slack's two buttons for feedback."""
        found = [element for element in self.elements if element["type"] == "feedback_buttons"]
        names = ("positive_button", "negative_button")
        return [element[name]["text"]["text"] for element in found for name in names]

    @property
    def alt_texts(self) -> list[str]:
        pictures = [block["alt_text"] for block in self.blocks if block["type"] == "image"]
        return pictures + [file.alt_text for file in self.files]

    def record_version(self, at: float) -> None:
        """Record the visible content and wake the waiting tests."""
        self.versions.append(SlackMessageVersion(at, self.visible_text, tuple(self.blocks), tuple(self.files)))
        self.channel.team.slack.changes.notify()

    async def wait_until(
        self,
        condition: Callable[["SlackMessageState"], object],
        description: str = "a change",
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
    ) -> "SlackMessageState":
        """Return this message once `condition` accepts the message."""
        wait_for = self.channel.team.slack.changes.wait_for
        await wait_for(lambda: bool(condition(self)), f"{description}; it shows {self.visible_text!r}", timeout_seconds)
        return self

    async def wait_for_text(self, text: str, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> "SlackMessageState":
        return await self.wait_until(
            lambda message: text in message.visible_text, f"{text!r} in this message", timeout_seconds
        )

    async def wait_for_stream_end(self, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> "SlackMessageState":
        """Wait until the stream has ended; return at once without a stream."""
        return await self.wait_until(lambda message: not message.is_streaming, "the end of the stream", timeout_seconds)

    @property
    def is_streaming(self) -> bool:
        return self.stream is not None and self.stream.is_live

    def to_json(self) -> Json:
        """Return the message as in the Web API and in events."""
        team = self.channel.team
        payload: Json = {"type": "message", "user": self.user_id, "text": self.text, "ts": self.ts, "team": team.id}
        if self.stream and not self.edited_at:
            payload["text"] = self.stream.text
        if self.bot_id:
            profile = {"id": self.bot_id, "app_id": team.slack.app_id, "name": "easel", "team_id": team.id}
            payload |= {"bot_id": self.bot_id, "app_id": team.slack.app_id, "bot_profile": profile}
        if self.thread_ts:
            payload["thread_ts"] = self.thread_ts
        if self.blocks:
            payload["blocks"] = self.blocks
        if self.attachments:
            payload["attachments"] = self.attachments
        if self.files:
            payload |= {"files": [file.to_json() for file in self.files], "upload": False}
        if self.edited_at:
            payload["edited"] = {"user": self.user_id, "ts": self.edited_at}
        if self.metadata:
            payload["metadata"] = self.metadata
        replies = self.channel.list_replies(self.ts)
        if replies:
            payload |= {"thread_ts": self.ts, "reply_count": len(replies), "latest_reply": replies[-1].ts}
        return payload


def _list_elements(blocks: list[Json]) -> Iterator[Json]:
    for block in blocks:
        if block["type"] in ("actions", "context_actions"):
            yield from block["elements"]
        elif "accessory" in block:
            yield block["accessory"]
        elif block["type"] == "input":
            yield block["element"]


def _extract_texts(node: Any) -> Iterator[str]:
    """Yield the texts of blocks in order; of a picture, the title."""
    if isinstance(node, list):
        for entry in node:
            yield from _extract_texts(entry)
    elif isinstance(node, dict) and node.get("type") not in ("actions", "context_actions"):
        for name, value in node.items():
            if name in ("text", "title") and isinstance(value, str):
                yield value
            elif name not in ("confirm", "options", "placeholder", "slack_file"):
                yield from _extract_texts(value)
