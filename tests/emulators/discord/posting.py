"""Creates, edits and deletes messages: validation, mentions, and the gateway events."""

import base64
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.emulators.discord.components import render_components, validate_components
from tests.emulators.discord.errors import (
    EMPTY_MESSAGE,
    VOICE_IS_FINAL,
    VOICE_WITH_CONTENT,
    VOICE_WITHOUT_FACTS,
    VOICE_WITHOUT_SOUND,
    DiscordErrorResponse,
    raise_if_invalid,
)
from tests.emulators.discord.files import MAX_WAVEFORM_VALUES, VOICE_MESSAGE, DiscordFileUpload, resolve_attachments
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
    DiscordChannelState,
    DiscordState,
    DiscordUserState,
    Json,
)
from tests.specs.discord_schemas import DiscordViolation

MAX_CONTENT_LENGTH = 2000
MAX_EMBED_TEXT_LENGTH = 6000
_USER_MENTION = re.compile(r"<@!?(\d+)>")
_ROLE_MENTION = re.compile(r"<@&(\d+)>")


@dataclass(frozen=True)
class DiscordMessageDraft:
    """The message fields of a request, and the request's files by number."""

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
    """Post a message and send MESSAGE_CREATE. Raise `DiscordErrorResponse` for an invalid draft."""
    flags = int(draft.fields.get("flags") or 0) & (COMPONENTS_V2 | EPHEMERAL | VOICE_MESSAGE | 1 << 2 | 1 << 12)
    message = DiscordMessageState(state.ids.next(), channel, author, state.clock.now(), **traits)
    message.flags = flags | message.flags
    message.nonce = draft.fields.get("nonce")
    attachments = resolve_attachments(message, draft.fields.get("attachments"), draft.files, keep_by_default=False)
    raise_if_invalid(list(_validate_message(message, draft, attachments)))
    if message.flags & VOICE_MESSAGE:
        _check_voice_message(draft, attachments)
    if not (any(map(draft.has_field, ("content", "embeds", "components", "sticker_ids", "poll"))) or attachments):
        raise DiscordErrorResponse(EMPTY_MESSAGE)
    _fill(message, draft, attachments)
    publish(state, message)
    return message


def _check_voice_message(draft: DiscordMessageDraft, attachments: list[DiscordAttachmentState]) -> None:
    """Raise `DiscordErrorResponse` unless a voice message is one Opus recording with its facts and nothing else.

    Discord's apps play Opus in Ogg; other sounds stay silent on phones.
    """
    if any(map(draft.has_field, ("content", "embeds", "components", "sticker_ids", "poll"))):
        raise DiscordErrorResponse(VOICE_WITH_CONTENT)
    if len(attachments) != 1 or b"OpusHead" not in attachments[0].data[:64]:
        raise DiscordErrorResponse(VOICE_WITHOUT_SOUND)
    (recording,) = attachments
    waveform = base64.b64decode(recording.waveform, validate=True)
    if recording.voice_seconds is None or not 1 <= len(waveform) <= MAX_WAVEFORM_VALUES:
        raise DiscordErrorResponse(VOICE_WITHOUT_FACTS)


def publish(state: DiscordState, message: DiscordMessageState) -> None:
    """Show a finished message: in the channel's history unless ephemeral, and on the gateway."""
    message.record_version(state.clock.now())
    if not message.is_ephemeral:
        message.channel.history.append(message)
        announce_message(state, "MESSAGE_CREATE", message)
    state.changes.notify()


def edit_message(state: DiscordState, message: DiscordMessageState, draft: DiscordMessageDraft) -> DiscordMessageState:
    """Edit a message; absent fields stay. Raise `DiscordErrorResponse` for an invalid draft."""
    if message.flags & VOICE_MESSAGE:
        raise DiscordErrorResponse(VOICE_IS_FINAL)
    wanted = draft.fields.get("flags")
    if message.is_v2 and wanted is not None and not int(wanted) & COMPONENTS_V2:
        raise_if_invalid(
            [DiscordViolation(("flags",), "MESSAGE_CANNOT_REMOVE_COMPONENTS_V2_FLAG", "components V2 cannot be undone")]
        )
    attachments = resolve_attachments(message, draft.fields.get("attachments"), draft.files, keep_by_default=True)
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
    """Send a message event, in guilds with the guild's id and the author's membership."""
    guild = message.channel.guild
    extra: Json = {}
    if guild is not None:
        extra = {"guild_id": str(guild.id)}
        if member := guild.members.get(message.author.id):
            extra["member"] = member_json(member, with_user=False)
    state.announce(event, guild, lambda reader: message_json(message, reader) | extra)


# Validation.


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
    filenames = {attachment.filename for attachment in attachments}
    yield from validate_components(components, is_v2=becomes_v2, filenames=filenames)


def _validate_legacy_fields(message: DiscordMessageState, draft: DiscordMessageDraft) -> Iterator[DiscordViolation]:
    """Yield violations for content, embeds and the like beside components V2, also if left from before the edit."""
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


# Content and mentions.


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
    state = message.channel.state
    text = message.text
    mentioned_ids = [int(found) for found in _USER_MENTION.findall(text)]
    message.mentions = list(
        {user_id: state.users[user_id] for user_id in mentioned_ids if user_id in state.users}.values()
    )
    message.mentioned_roles = [int(found) for found in _ROLE_MENTION.findall(text)]
    names_everyone = "@everyone" in text or "@here" in text
    parse = {"users", "roles", "everyone"} if allowed is None else set(allowed.get("parse") or ())
    allowed_ids = {int(user_id) for user_id in (allowed or {}).get("users") or ()}
    notified = [user for user in message.mentions if "users" in parse or user.id in allowed_ids]
    if message.reference is not None and (allowed is None or allowed.get("replied_user")):
        notified.append(message.reference.author)
        message.mentions = [*message.mentions, message.reference.author]
    if message.channel.guild is not None:
        notified += _role_pings(message, parse, {int(user_id) for user_id in (allowed or {}).get("roles") or ()})
        message.mentions_everyone = names_everyone and "everyone" in parse
        if message.mentions_everyone:
            notified += [member.user for member in message.channel.guild.members.values()]
    message.notified_users = list(dict.fromkeys(notified))


def _role_pings(message: DiscordMessageState, parse: set[str], allowed_ids: set[int]) -> list[DiscordUserState]:
    assert message.channel.guild is not None
    notified = {role for role in message.mentioned_roles if "roles" in parse or role in allowed_ids}
    members = message.channel.guild.members.values()
    return [member.user for member in members if notified & {role.id for role in member.roles}]
