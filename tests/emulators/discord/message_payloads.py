"""Serializes messages, files and interactions as Discord's JSON."""

from typing import TYPE_CHECKING, Any

from tests.emulators.discord.messages import DiscordAttachmentState, DiscordMessageState
from tests.emulators.discord.payloads import channel_json, format_timestamp, member_json, user_json
from tests.emulators.discord.state import DiscordReader, Json

if TYPE_CHECKING:
    from tests.emulators.discord.interactions import DiscordInteractionState


def attachment_json(attachment: DiscordAttachmentState) -> Json:
    payload: Json = {
        "id": str(attachment.id),
        "filename": attachment.filename,
        "size": len(attachment.data),
        "url": attachment.url,
        "proxy_url": attachment.url,
        "content_type": attachment.content_type,
        "flags": 0,
    }
    if attachment.description:
        payload["description"] = attachment.description
    if attachment.is_ephemeral:
        payload["ephemeral"] = True
    if attachment.size_in_pixels:
        payload["width"], payload["height"] = attachment.size_in_pixels
    if attachment.voice_seconds is not None:
        payload |= {"duration_secs": attachment.voice_seconds, "waveform": attachment.waveform}
    return payload


def message_json(
    message: DiscordMessageState, reader: DiscordReader | None = None, *, with_reference: bool = True
) -> Json:
    """Return the message for REST, or for a gateway session (`reader`) without content hidden from the session."""
    is_hidden = reader is not None and not reader.message_content and _is_private_to_its_author(message)
    payload: Json = {
        "id": str(message.id),
        "channel_id": str(message.channel.id),
        "author": user_json(message.author),
        "timestamp": format_timestamp(message.created_at),
        "edited_timestamp": None if message.edited_at is None else format_timestamp(message.edited_at),
        "type": message.kind,
        "flags": message.flags,
        "tts": False,
        "pinned": False,
        "mention_everyone": message.mentions_everyone,
        "mentions": [user_json(user) for user in message.mentions],
        "mention_roles": [str(role) for role in message.mentioned_roles],
        "content": "" if is_hidden else message.content,
        "embeds": [] if is_hidden else message.embeds,
        "attachments": [] if is_hidden else [attachment_json(attachment) for attachment in message.attachments],
        "components": [] if is_hidden else message.components,
        **({"poll": message.poll} if message.poll is not None and not is_hidden else {}),
    }
    return payload | _optional_parts(message, reader, with_reference=with_reference)


def _is_private_to_its_author(message: DiscordMessageState) -> bool:
    """Return whether the message content intent is needed. Not needed: direct messages, the bot's own, mentions of the
    bot.
    """
    bot = message.channel.state.bot
    return message.channel.guild is not None and message.author is not bot and bot not in message.mentions


def _optional_parts(message: DiscordMessageState, reader: DiscordReader | None, *, with_reference: bool) -> Json:
    payload: Json = {}
    if message.nonce is not None:
        payload["nonce"] = message.nonce
    if message.thread is not None and not message.thread.is_deleted:
        payload["thread"] = channel_json(message.thread)
    if message.reference is not None:
        payload |= _reference_parts(message.reference, reader, with_message=with_reference)
    if message.forwarded is not None:
        payload |= _forward_parts(message, reader)
    if message.interaction is not None:
        application = str(message.channel.state.application_id)
        metadata = metadata_json(message.interaction)
        payload |= {"application_id": application, "webhook_id": application, "interaction_metadata": metadata}
    if message.reactions:
        payload["reactions"] = [_reaction_json(message, emoji) for emoji in message.reactions]
    return payload


def _reference_parts(reference: DiscordMessageState, reader: DiscordReader | None, *, with_message: bool) -> Json:
    payload: Json = {
        "message_reference": {"type": 0, "channel_id": str(reference.channel.id), "message_id": str(reference.id)}
    }
    if reference.channel.guild is not None:
        payload["message_reference"]["guild_id"] = str(reference.channel.guild.id)
    if with_message:
        is_deleted = reference.is_deleted
        payload["referenced_message"] = None if is_deleted else message_json(reference, reader, with_reference=False)
    return payload


def _forward_parts(message: DiscordMessageState, reader: DiscordReader | None) -> Json:
    """Return the reference and the snapshot of a forward, whose words need the message content intent."""
    forwarded = message.forwarded
    assert forwarded is not None
    reference: Json = {"type": 1, "channel_id": str(forwarded.channel.id), "message_id": str(forwarded.id)}
    if forwarded.channel.guild is not None:
        reference["guild_id"] = str(forwarded.channel.guild.id)
    whole = message_json(forwarded)
    is_hidden = reader is not None and not reader.message_content and _is_private_to_its_author(message)
    names = ("type", "timestamp", "edited_timestamp", "flags", "mentions", "mention_roles", *_CONTENT)
    snapshot = {name: whole[name] for name in names}
    if is_hidden:
        snapshot |= {name: "" if name == "content" else [] for name in _CONTENT}
    return {"message_reference": reference, "message_snapshots": [{"message": snapshot}]}


_CONTENT = ("content", "embeds", "attachments", "components")


def _reaction_json(message: DiscordMessageState, emoji: str) -> Json:
    users = message.reactions[emoji]
    return {
        "count": len(users),
        "count_details": {"burst": 0, "normal": len(users)},
        "me": message.channel.state.bot in users,
        "me_burst": False,
        "burst_colors": [],
        "emoji": {"id": None, "name": emoji},
    }


def metadata_json(interaction: "DiscordInteractionState") -> Json:
    payload: Json = {
        "id": str(interaction.id),
        "type": interaction.kind,
        "user": user_json(interaction.user),
        "authorizing_integration_owners": interaction.installation_owners,
    }
    if interaction.source_message is not None:
        payload["interacted_message_id"] = str(interaction.source_message.id)
    if interaction.kind == 5:
        payload["triggering_interaction_metadata"] = payload | {"type": 2}
    if interaction.kind == 2:
        payload |= {"name": interaction.data["name"], "command_type": interaction.data["type"]}
    return payload


def interaction_json(interaction: "DiscordInteractionState") -> Json:
    """Return the payload of INTERACTION_CREATE."""
    channel, state = interaction.channel, interaction.state
    payload: Json = {
        "id": str(interaction.id),
        "application_id": str(state.application_id),
        "type": interaction.kind,
        "token": interaction.token,
        "version": 1,
        "data": interaction.data,
        "channel_id": str(channel.id),
        "channel": channel_json(channel),
        "locale": interaction.user.locale,
        "context": interaction.context,
        "authorizing_integration_owners": interaction.installation_owners,
        "app_permissions": str(_app_permissions(interaction)),
        "attachment_size_limit": interaction.upload_limit_bytes,
        "entitlements": [],
        "entitlement_sku_ids": [],
    }
    if interaction.source_message is not None:
        payload["message"] = message_json(interaction.source_message)
    if channel.guild is None:
        return payload | {"user": user_json(interaction.user)}
    member = channel.guild.members[interaction.user.id]
    return payload | {
        "guild_id": str(channel.guild.id),
        "guild": {"id": str(channel.guild.id), "locale": channel.guild.locale, "features": []},
        "guild_locale": channel.guild.locale,
        "member": member_json(member, channel=channel),
    }


def _app_permissions(interaction: "DiscordInteractionState") -> int:
    """Return the app's permissions; without the bot in the guild, the permissions of a user install."""
    permissions: Any = interaction.state.compute_bot_permissions(interaction.channel)
    return int(permissions or (1 << 11 | 1 << 14 | 1 << 15 | 1 << 17 | 1 << 18))
