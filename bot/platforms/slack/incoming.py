"""Reads messages of Slack: words of text, blocks, attachments and shared messages, pictures, and earlier messages."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from bot.core.errors import BadFile, OutputGone, Unavailable
from bot.core.file_types import MediaKind
from bot.core.invocations import Attachment
from bot.media.media import Media
from bot.platforms.slack.errors import ignore_refusal
from bot.platforms.slack.mrkdwn import escape, replace_mentions, unescape
from bot.platforms.slack.uploads import SlackFiles
from bot.platforms.slack.users import SlackUsers
from bot.platforms.slack.web_api import SlackWebApi

SlackMessage = Mapping[str, Any]

MAX_EARLIER_MESSAGES = 40
PAGE_SIZE = 200
_MAX_PAGES = 10
_MAX_SEARCHED_MESSAGES = 30


class SlackMessageReader:
    """Reads the words and pictures of messages, also the earlier messages of a channel or thread."""

    def __init__(self, web_api: SlackWebApi, users: SlackUsers, files: SlackFiles, media: Media) -> None:
        self._web_api = web_api
        self._users = users
        self._files = files
        self._media = media

    async def read_words(self, team: str, message: SlackMessage, *, is_own: bool = False) -> str:
        """Return everything that a message says, with names for ids; empty for a message without words.

        Of the bot's own messages the notes with model and price are left out.
        """
        text = _join_own_words(message) if is_own else join_words(message)
        return replace_mentions(unescape(text), await self._users.get_names(team, text)).strip()

    async def read_quoted_words(self, team: str, message: SlackMessage) -> str:
        """Return what a message says beside the text: attachments and shared messages."""
        text = "\n\n".join(_iterate_attachments(message))
        return replace_mentions(unescape(text), await self._users.get_names(team, text)).strip()

    async def get_author_name(self, team: str, message: SlackMessage) -> str:
        """Return the display name of a person, or the name under which an app posts."""
        if message.get("bot_id"):
            profile = message.get("bot_profile") or {}
            return str(message.get("username") or profile.get("name") or "an app")
        author = str(message.get("user") or "")
        return await self._users.get_name(team, author) if author else "somebody"

    def list_files(self, team: str, message: SlackMessage) -> list[Attachment]:
        """Return the files that people or apps shared with a message."""
        return [self._files.create_attachment(team, file) for file in message.get("files") or ()]

    def list_canvases(self, team: str, canvas: str) -> list[Attachment]:
        """Return a canvas as a file of text; nothing for an empty id."""
        return [self._files.create_canvas(team, canvas, "canvas")] if canvas else []

    def list_quoted_files(self, team: str, message: SlackMessage) -> list[Attachment]:
        """Return the files of shared messages, and the pictures of blocks and attachments."""
        files = self._list_block_pictures(team, message.get("blocks") or ())
        for attachment in message.get("attachments") or ():
            files += self.list_files(team, attachment)
            for blocks in _iterate_attached_blocks(attachment):
                files += self._list_block_pictures(team, blocks)
            if url := str(attachment.get("image_url") or attachment.get("thumb_url") or ""):
                files.append(self._attach_public(url))
        return files

    def list_pictures(self, team: str, message: SlackMessage) -> list[Attachment]:
        """Return the pictures of a message: uploaded, shared, and of blocks and attachments."""
        files = [*self.list_files(team, message), *self.list_quoted_files(team, message)]
        return [file for file in files if file.kind is MediaKind.PICTURE]

    async def list_earlier(self, team: str, channel: str, thread: str, before: str) -> list[SlackMessage]:
        """Return the root of a thread and the last messages before a ts."""
        root: list[SlackMessage] = []
        last: list[SlackMessage] = []
        arguments: dict[str, Any] = {"channel": channel, "ts": thread, "limit": PAGE_SIZE}
        # conversations.replies pages from the oldest message on, so the last messages stand on the last page.
        for _ in range(_MAX_PAGES):
            response = await ignore_refusal(self._web_api.call(team, "conversations.replies", **arguments)) or {}
            page = response.get("messages") or ()
            earlier = [message for message in page if float(message["ts"]) < float(before)]
            root = root or [message for message in earlier if str(message["ts"]) == thread]
            last = [*last, *earlier][-MAX_EARLIER_MESSAGES:]
            arguments["cursor"] = str((response.get("response_metadata") or {}).get("next_cursor") or "")
            if not arguments["cursor"]:
                break
        return last if root and root[0] in last else [*root, *last[1:]]

    async def list_open_place(self, team: str, channel: str, thread: str, before: str) -> list[SlackMessage]:
        """Return the last messages of a thread, or of a channel without `thread`, oldest first.

        Empty where the app is no member: Slack refuses the call.
        """
        if thread:
            return await self.list_earlier(team, channel, thread, before)
        return (await self._list_latest(team, channel, before))[::-1]

    async def _list_latest(self, team: str, channel: str, before: str) -> list[SlackMessage]:
        """Return the last messages of a channel, the newest first."""
        call = self._web_api.call(
            team, "conversations.history", channel=channel, limit=_MAX_SEARCHED_MESSAGES, latest=before or None
        )
        return list((await ignore_refusal(call) or {}).get("messages") or ())

    async def find_last_file(
        self, team: str, channel: str, kinds: Sequence[MediaKind], thread: str = "", before: str = ""
    ) -> Attachment | None:
        """Return the last file of some kinds of a thread, or of a channel without `thread`, of people or of the bot."""
        if thread:
            messages = (await self.list_earlier(team, channel, thread, before))[::-1]
        else:
            messages = await self._list_latest(team, channel, before)
        for message in messages:
            files = [*self.list_files(team, message), *self.list_quoted_files(team, message)]
            if (found := next((file for file in files if file.kind in kinds), None)) is not None:
                return found
        return None

    def _list_block_pictures(self, team: str, blocks: Sequence[Mapping[str, Any]]) -> list[Attachment]:
        pictures = []
        for block in blocks:
            picture = block if block.get("type") == "image" else block.get("accessory") or {}
            if picture.get("type") != "image":
                continue
            if file := picture.get("slack_file"):
                described = {"name": "picture", "mimetype": "image/png", **file}
                pictures.append(self._files.create_attachment(team, described))
            elif url := str(picture.get("image_url") or ""):
                pictures.append(self._attach_public(url))
        return pictures

    def _attach_public(self, url: str) -> Attachment:
        name = urlsplit(url).path.rpartition("/")[2] or "picture"

        async def read() -> bytes:
            # Another app may name any address: the guarded fetcher follows public addresses alone.
            try:
                return (await self._media.download(url)).data
            except (BadFile, OutputGone, Unavailable) as error:
                raise BadFile(f"{name} could not be fetched. Please upload the picture here.") from error

        return Attachment(name, "image/png", 0, read)


def join_words(message: SlackMessage) -> str:
    """Return the words of a message as Slack's text: the text or the blocks, then attachments and shared messages."""
    parts = [_join_text_and_blocks(message), *_iterate_attachments(message)]
    return "\n\n".join(part for part in parts if part)


def _join_own_words(message: SlackMessage) -> str:
    # The text is a shortened copy of the blocks for notifications.
    parts = [str(block.get("text") or "") for block in message.get("blocks") or () if block.get("type") == "markdown"]
    return escape("\n\n".join(parts)) or str(message.get("text") or "")


def _join_text_and_blocks(message: SlackMessage) -> str:
    text, blocks = str(message.get("text") or ""), message.get("blocks") or ()
    is_typed = all(block.get("type") == "rich_text" for block in blocks)
    if text and is_typed:
        return text
    words = "\n".join(part for block in blocks for part in _iterate_block(block) if part)
    # An app's text is often the blocks' first line, for notifications.
    is_repeated = text.strip().casefold() in words.casefold()
    return words if is_repeated else f"{text}\n{words}".strip()


def _iterate_attachments(message: SlackMessage) -> Iterator[str]:
    for attachment in message.get("attachments") or ():
        is_shared = bool(attachment.get("is_share") or attachment.get("is_msg_unfurl"))
        # A preview of a link repeats the page's title: only what people and apps posted says more than the text.
        if attachment.get("from_url") and not is_shared:
            continue
        words = "\n".join(_iterate_attachment(attachment, is_shared=is_shared))
        author = str(attachment.get("author_name") or "")
        if words and is_shared:
            yield f"Shared message from {author or 'somebody'}: {words}"
        elif words:
            yield words


def _iterate_attachment(attachment: Mapping[str, Any], *, is_shared: bool) -> Iterator[str]:
    names = ("text",) if is_shared else ("pretext", "author_name", "title", "text")
    parts = [str(attachment.get(name) or "") for name in names]
    blocks = [block for blocks in _iterate_attached_blocks(attachment) for block in blocks]
    shown = [part for block in blocks for part in _iterate_block(block) if part]
    fields = [f"{field.get('title') or ''}: {field.get('value') or ''}" for field in attachment.get("fields") or ()]
    footer = "" if is_shared else str(attachment.get("footer") or "")
    own = [part for part in (*parts, *fields, footer) if part]
    # A shared message has its words twice: as text, and as blocks.
    yield from own if is_shared and own else [*own, *shown]
    if not own and not shown:
        yield from filter(None, [str(attachment.get("fallback") or "")])


def _iterate_attached_blocks(attachment: Mapping[str, Any]) -> Iterator[Sequence[Mapping[str, Any]]]:
    yield attachment.get("blocks") or ()
    for shared in attachment.get("message_blocks") or ():
        yield (shared.get("message") or {}).get("blocks") or ()


def _iterate_block(block: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a block of any type with words, as Slack's text."""
    kind = block.get("type")
    if kind == "rich_text":
        yield "\n".join(map(_join_rich_text, block.get("elements") or ()))
    elif kind == "markdown":
        yield escape(str(block.get("text") or ""))
    elif kind == "context":
        yield " ".join(map(_read_text_object, block.get("elements") or ()))
    elif kind == "image":
        yield _read_text_object(block.get("title")) or escape(str(block.get("alt_text") or ""))
    elif kind == "table":
        for row in block.get("rows") or ():
            yield " | ".join(_read_cell(cell) for cell in row)
    else:
        yield _read_text_object(block.get("title"))
        yield _read_text_object(block.get("text"))
        yield from map(_read_text_object, block.get("fields") or ())


def _read_text_object(value: Any) -> str:
    """Return the text of `mrkdwn` as it is, and of `plain_text` escaped: one reader takes both."""
    if not isinstance(value, Mapping) or not isinstance(value.get("text"), str):
        return ""
    return str(value["text"]) if value.get("type") == "mrkdwn" else escape(value["text"])


def _read_cell(cell: Mapping[str, Any]) -> str:
    return " ".join(_iterate_block(cell)) if cell.get("type") == "rich_text" else escape(str(cell.get("text") or ""))


def _join_rich_text(element: Mapping[str, Any]) -> str:
    """Return the text of an element of rich text, with links and mentions in the form of Slack's text."""
    kind, inner = element.get("type"), element.get("elements") or ()
    if kind == "rich_text_list":
        return "\n".join(f"- {_join_rich_text(item)}" for item in inner)
    if inner:
        return "".join(map(_join_rich_text, inner))
    match kind:
        case "link":
            label = str(element.get("text") or "")
            return f"<{element.get('url')}{f'|{escape(label)}' if label else ''}>"
        case "user":
            return f"<@{element.get('user_id')}>"
        case "channel":
            return f"<#{element.get('channel_id')}>"
        case "usergroup":
            return f"<!subteam^{element.get('usergroup_id')}>"
        case "broadcast":
            return f"@{element.get('range')}"
        case "emoji":
            return f":{element.get('name')}:"
        case "date":
            return escape(str(element.get("fallback") or ""))
    return escape(str(element.get("text") or ""))
