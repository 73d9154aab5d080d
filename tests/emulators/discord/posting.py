"""Writing messages: what a create or an edit may hold, its files, whom it pings, and what the gateway then tells."""

import io
import mimetypes
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from tests.emulators.discord.components import render_components, validate_components
from tests.emulators.discord.errors import EMPTY_MESSAGE, ENTITY_TOO_LARGE, DiscordErrorResponse, raise_if_invalid
from tests.emulators.discord.message_payloads import message_json
from tests.emulators.discord.messages import (
    COMPONENTS_V2,
    EPHEMERAL,
    LOADING,
    DiscordAttachmentState,
    DiscordMessageState,
)
from tests.emulators.discord.payloads import member_json
from tests.emulators.discord.state import (
    DEFAULT_UPLOAD_LIMIT,
    DiscordChannelState,
    DiscordState,
    DiscordUserState,
    Json,
)
from tests.specs.discord import DiscordViolation

MAX_CONTENT_LENGTH = 2000
MAX_EMBED_TEXT_LENGTH = 6000
FILE_URL_SECONDS = 24 * 3600
_USER_MENTION = re.compile(r"<@!?(\d+)>")
_ROLE_MENTION = re.compile(r"<@&(\d+)>")
_UNSAFE_IN_NAMES = re.compile(r"[^\w.\-]+")


@dataclass(frozen=True)
class DiscordFileUpload:
    """A file of a request."""

    filename: str
    data: bytes


@dataclass(frozen=True)
class DiscordMessageDraft:
    """What a request wants a message to hold: its JSON, and the files by their number."""

    fields: Mapping[str, Any]
    files: Mapping[int, DiscordFileUpload]

    def has_field(self, name: str) -> bool:
        return self.fields.get(name) not in (None, "", [])


def create_message(
    state: DiscordState,
    channel: DiscordChannelState,
    author: DiscordUserState,
    draft: DiscordMessageDraft,
    **traits: Any,
) -> DiscordMessageState:
    """Post, and tell the gateway. Raises Refused."""
    flags = int(draft.fields.get("flags") or 0) & (COMPONENTS_V2 | EPHEMERAL | 1 << 2 | 1 << 12)
    message = DiscordMessageState(state.ids.next(), channel, author, state.clock.now(), **traits)
    message.flags = flags | message.flags
    message.nonce = draft.fields.get("nonce")
    attachments = _resolve_attachments(message, draft, keep_by_default=False)
    raise_if_invalid(list(_validate_message(message, draft, attachments)))
    if not (any(map(draft.has_field, ("content", "embeds", "components", "sticker_ids", "poll"))) or attachments):
        raise DiscordErrorResponse(EMPTY_MESSAGE)
    _fill(message, draft, attachments)
    publish(state, message)
    return message


def publish(state: DiscordState, message: DiscordMessageState) -> None:
    """Let a filled message appear: in the channel's history unless it is ephemeral, and at the gateway."""
    message.record_version(state.clock.now())
    if not message.is_ephemeral:
        message.channel.history.append(message)
        announce_message(state, "MESSAGE_CREATE", message)
    state.changes.notify()


def edit_message(state: DiscordState, message: DiscordMessageState, draft: DiscordMessageDraft) -> DiscordMessageState:
    """Change what a message holds; absent fields stay. Raises Refused."""
    wanted = draft.fields.get("flags")
    if message.is_v2 and wanted is not None and not int(wanted) & COMPONENTS_V2:
        raise_if_invalid(
            [DiscordViolation(("flags",), "MESSAGE_CANNOT_REMOVE_COMPONENTS_V2_FLAG", "components V2 cannot be undone")]
        )
    attachments = _resolve_attachments(message, draft, keep_by_default=True)
    raise_if_invalid(list(_validate_message(message, draft, attachments)))
    if _would_be_empty(message, draft, attachments):
        raise DiscordErrorResponse(EMPTY_MESSAGE)
    message.flags = (message.flags | int(wanted or 0) & COMPONENTS_V2) & ~LOADING
    message.edited_at = state.clock.now()
    _fill(message, draft, attachments)
    message.record_version(state.clock.now())
    if not message.is_ephemeral:
        announce_message(state, "MESSAGE_UPDATE", message)
    state.changes.notify()
    return message


def delete_message(state: DiscordState, message: DiscordMessageState) -> None:
    message.is_deleted = True
    if not message.is_ephemeral:
        payload: Json = {"id": str(message.id), "channel_id": str(message.channel.id)}
        if message.channel.guild is not None:
            payload["guild_id"] = str(message.channel.guild.id)
        state.announce("MESSAGE_DELETE", message.channel.guild, lambda reader: payload)
    state.changes.notify()


def announce_message(state: DiscordState, event: str, message: DiscordMessageState) -> None:
    """Messages of guilds come with the guild and the author's membership."""
    guild = message.channel.guild
    extra: Json = {}
    if guild is not None:
        extra = {"guild_id": str(guild.id)}
        if member := guild.members.get(message.author.id):
            extra["member"] = member_json(member, with_user=False)
    state.announce(event, guild, lambda reader: message_json(message, reader) | extra)


# What a message may hold.


def _validate_message(
    message: DiscordMessageState, draft: DiscordMessageDraft, attachments: list[DiscordAttachmentState]
) -> Iterator[DiscordViolation]:
    fields = draft.fields
    becomes_v2 = message.is_v2 or bool(int(fields.get("flags") or 0) & COMPONENTS_V2)
    content = fields.get("content")
    if content is not None and len(content) > MAX_CONTENT_LENGTH:
        sentence = f"{len(content)} characters, at most {MAX_CONTENT_LENGTH} allowed"
        yield DiscordViolation(("content",), "BASE_TYPE_MAX_LENGTH", sentence)
    if becomes_v2:
        yield from _validate_legacy_fields(message, draft)
    text = sum(len(text) for embed in fields.get("embeds") or () for text in _embed_texts(embed))
    if text > MAX_EMBED_TEXT_LENGTH:
        sentence = f"{text} characters of embeds, at most {MAX_EMBED_TEXT_LENGTH} allowed"
        yield DiscordViolation(("embeds",), "MAX_EMBED_SIZE_EXCEEDED", sentence)
    if len(attachments) > 10:
        yield DiscordViolation(
            ("attachments",), "BASE_TYPE_MAX_LENGTH", f"{len(attachments)} files, at most 10 allowed"
        )
    components = fields["components"] if fields.get("components") is not None else message.components
    filenames = {one.filename for one in attachments}
    yield from validate_components(components, is_v2=becomes_v2, filenames=filenames)


def _validate_legacy_fields(message: DiscordMessageState, draft: DiscordMessageDraft) -> Iterator[DiscordViolation]:
    """Beside components V2 there is neither content nor embed, nor what is left of them from before."""
    for name in ("content", "embeds", "poll", "sticker_ids"):
        left = getattr(message, name, None) and name not in draft.fields
        if draft.has_field(name) or left:
            sentence = f"{name} cannot be used together with components V2"
            yield DiscordViolation((name,), "MESSAGE_CANNOT_USE_LEGACY_FIELDS_WITH_COMPONENTS_V2", sentence)


def _embed_texts(embed: Json) -> Iterator[str]:
    yield embed.get("title") or ""
    yield embed.get("description") or ""
    yield (embed.get("footer") or {}).get("text") or ""
    yield (embed.get("author") or {}).get("name") or ""
    for entry in embed.get("fields") or ():
        yield entry.get("name") or ""
        yield entry.get("value") or ""


def _would_be_empty(
    message: DiscordMessageState, draft: DiscordMessageDraft, attachments: list[DiscordAttachmentState]
) -> bool:
    after = {
        name: draft.fields[name] if name in draft.fields else getattr(message, name)
        for name in ("content", "embeds", "components")
    }
    return not any(after.values()) and not attachments


# Files.


def _resolve_attachments(
    message: DiscordMessageState, draft: DiscordMessageDraft, *, keep_by_default: bool
) -> list[DiscordAttachmentState]:
    """Those named in `attachments` are kept or added; without it all stay. Files without an entry are added too."""
    world, limit = message.channel.state, get_upload_limit(message.channel)
    if any(len(upload.data) > limit for upload in draft.files.values()):
        raise DiscordErrorResponse(ENTITY_TOO_LARGE)
    entries = draft.fields.get("attachments")
    if entries is None:
        kept = list(message.attachments) if keep_by_default else []
        return kept + [store_file(world, message.channel, upload) for upload in draft.files.values()]
    own = {attachment.id: attachment for attachment in message.attachments}
    found, used = [], set()
    for number, entry in enumerate(entries):
        name = int(entry["id"])
        if name in own:
            own[name].description = entry.get("description", own[name].description)
            found.append(own[name])
        elif name in draft.files:
            used.add(name)
            found.append(store_file(world, message.channel, draft.files[name], entry))
        else:
            raise_if_invalid(
                [
                    DiscordViolation(
                        ("attachments", number, "id"), "ATTACHMENT_NOT_FOUND", f"{name} is no file of this request"
                    )
                ]
            )
    rest = [store_file(world, message.channel, upload) for number, upload in draft.files.items() if number not in used]
    return found + rest


def get_upload_limit(channel: DiscordChannelState) -> int:
    """Bytes of one file."""
    return channel.guild.upload_limit if channel.guild else DEFAULT_UPLOAD_LIMIT


def store_file(
    state: DiscordState, channel: DiscordChannelState, upload: DiscordFileUpload, entry: Json | None = None
) -> DiscordAttachmentState:
    """Keep a file where the CDN serves it, under an address that looks signed and expires."""
    entry = entry or {}
    filename = _UNSAFE_IN_NAMES.sub("_", entry.get("filename") or upload.filename)
    if entry.get("is_spoiler") and not filename.startswith("SPOILER_"):
        filename = f"SPOILER_{filename}"
    file_id = state.ids.next()
    kind = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    url = build_file_url(state, "attachments", channel, file_id, filename)
    size = _measure_pixels(upload.data) if kind.startswith("image/") else None
    attachment = DiscordAttachmentState(file_id, filename, upload.data, kind, url, entry.get("description"), size)
    state.files[file_id] = attachment
    return attachment


def build_file_url(state: DiscordState, folder: str, channel: DiscordChannelState, file_id: int, filename: str) -> str:
    now = state.clock.now()
    expires = int(now + state.clock.scale(FILE_URL_SECONDS))
    signature = f"{hash((file_id, expires)) & (1 << 128) - 1:064x}"
    path = f"{state.cdn_url}/{folder}/{channel.id}/{file_id}/{filename}"
    return f"{path}?ex={expires:x}&is={int(now):x}&hm={signature}&"


def _measure_pixels(data: bytes) -> tuple[int, int] | None:
    try:
        with Image.open(io.BytesIO(data)) as picture:
            return picture.size
    except (OSError, ValueError):
        return None


# Filling, and whom it pings.


def _fill(message: DiscordMessageState, draft: DiscordMessageDraft, attachments: list[DiscordAttachmentState]) -> None:
    fields = draft.fields
    message.attachments = attachments
    if "content" in fields:
        message.content = (fields["content"] or "").strip()
    if "embeds" in fields:
        message.embeds = [{"type": "rich", **embed} for embed in fields["embeds"] or ()]
    if "components" in fields:
        message.components = render_components(fields["components"] or (), attachments)
    if "content" in fields or "components" in fields:
        _find_mentions(message, fields.get("allowed_mentions"))


def _find_mentions(message: DiscordMessageState, allowed: Json | None) -> None:
    world = message.channel.state
    text = message.text
    named = [int(found) for found in _USER_MENTION.findall(text)]
    message.mentions = list({one: world.users[one] for one in named if one in world.users}.values())
    message.mentioned_roles = [int(found) for found in _ROLE_MENTION.findall(text)]
    everyone = "@everyone" in text or "@here" in text
    parse = {"users", "roles", "everyone"} if allowed is None else set(allowed.get("parse") or ())
    listed = {int(one) for one in (allowed or {}).get("users") or ()}
    pinged = [user for user in message.mentions if "users" in parse or user.id in listed]
    if message.reference is not None and (allowed is None or allowed.get("replied_user")):
        pinged.append(message.reference.author)
        message.mentions = [*message.mentions, message.reference.author]
    if message.channel.guild is not None:
        pinged += _role_pings(message, parse, {int(one) for one in (allowed or {}).get("roles") or ()})
        message.mentions_everyone = everyone and "everyone" in parse
        if message.mentions_everyone:
            pinged += [member.user for member in message.channel.guild.members.values()]
    message.notified_users = list(dict.fromkeys(pinged))


def _role_pings(message: DiscordMessageState, parse: set[str], listed: set[int]) -> list[DiscordUserState]:
    assert message.channel.guild is not None
    notified = {role for role in message.mentioned_roles if "roles" in parse or role in listed}
    members = message.channel.guild.members.values()
    return [member.user for member in members if notified & {role.id for role in member.roles}]
