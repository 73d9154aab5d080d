"""Things as Discord's JSON shows them."""

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tests.emulators.discord.messages import Attachment, Message
from tests.emulators.discord.world import DIRECT, GROUP, Channel, Guild, Json, Member, Reader, Role, User

if TYPE_CHECKING:
    from tests.emulators.discord.interactions import Interaction


def stamp(at: float) -> str:
    """Unix seconds as Discord writes a moment."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")


def user_json(user: User) -> Json:
    return {
        "id": str(user.id),
        "username": user.name,
        "discriminator": "0",
        "global_name": None if user.bot else user.name,
        "avatar": None,
        "bot": user.bot,
        "public_flags": 0,
        "flags": 0,
        "primary_guild": None,
    }


def member_json(member: Member, *, channel: Channel | None = None, with_user: bool = True) -> Json:
    """With what they may do in `channel`, as interactions tell it."""
    payload: Json = {
        "roles": [str(role.id) for role in member.roles],
        "joined_at": stamp(member.joined_at),
        "nick": None,
        "avatar": None,
        "banner": None,
        "premium_since": None,
        "pending": False,
        "flags": 0,
        "deaf": False,
        "mute": False,
        "communication_disabled_until": None,
    }
    if with_user:
        payload["user"] = user_json(member.user)
    if channel is not None:
        payload["permissions"] = str(member.permissions_in(channel))
    return payload


def role_json(role: Role) -> Json:
    return {
        "id": str(role.id),
        "name": role.name,
        "description": None,
        "permissions": str(role.permissions),
        "position": role.position,
        "color": 0,
        "colors": {"primary_color": 0, "secondary_color": None, "tertiary_color": None},
        "hoist": False,
        "managed": False,
        "mentionable": False,
        "icon": None,
        "unicode_emoji": None,
        "flags": 0,
    }


def channel_json(channel: Channel) -> Json:
    last = channel.history[-1].id if channel.history else None
    payload: Json = {
        "id": str(channel.id),
        "type": channel.kind,
        "last_message_id": None if last is None else str(last),
        "flags": 0,
    }
    if channel.kind in (DIRECT, GROUP):
        payload["recipients"] = [user_json(user) for user in channel.recipients]
        if channel.kind == GROUP:
            payload |= {"name": channel.name, "icon": None, "owner_id": str(channel.recipients[0].id)}
        return payload
    assert channel.guild is not None
    payload |= {"guild_id": str(channel.guild.id), "name": channel.name, "rate_limit_per_user": 0}
    return payload | (_thread_part(channel) if channel.is_thread else _text_part(channel))


def _text_part(channel: Channel) -> Json:
    assert channel.guild is not None
    roles = {role.id for role in channel.guild.roles}
    return {
        "position": 0,
        "parent_id": None,
        "nsfw": channel.age_restricted,
        "topic": channel.topic,
        "default_auto_archive_duration": 4320,
        "permission_overwrites": [
            {"id": str(one), "type": 0 if one in roles else 1, "deny": str(denied), "allow": str(allowed)}
            for one, (denied, allowed) in channel.overwrites.items()
        ],
    }


def _thread_part(thread: Channel) -> Json:
    assert thread.parent is not None
    assert thread.owner is not None
    return {
        "parent_id": str(thread.parent.id),
        "owner_id": str(thread.owner.id),
        "message_count": len(thread.messages),
        "total_message_sent": len(thread.history),
        "member_count": len(thread.thread_members),
        "thread_metadata": {
            "archived": thread.archived,
            "archive_timestamp": stamp(thread.archived_at),
            "auto_archive_duration": thread.archive_minutes,
            "locked": thread.locked,
            "create_timestamp": stamp(thread.archived_at),
        },
    }


def thread_member_json(thread: Channel, user: User) -> Json:
    at = stamp(thread.archived_at)
    return {"id": str(thread.id), "user_id": str(user.id), "join_timestamp": at, "flags": 0}


def guild_json(guild: Guild) -> Json:
    """What REST tells of a guild."""
    return {
        "id": str(guild.id),
        "name": guild.name,
        "owner_id": str(guild.owner.id),
        "icon": None,
        "splash": None,
        "discovery_splash": None,
        "home_header": None,
        "description": None,
        "banner": None,
        "region": "deprecated",
        "features": [],
        "emojis": [],
        "stickers": [],
        "roles": [role_json(role) for role in guild.roles],
        "verification_level": 0,
        "default_message_notifications": 1,
        "explicit_content_filter": 0,
        "mfa_level": 0,
        "nsfw": False,
        "nsfw_level": 0,
        "premium_tier": 0,
        "premium_subscription_count": 0,
        "premium_progress_bar_enabled": False,
        "premium_progress_bar_enabled_user_updated_at": None,
        "preferred_locale": guild.locale,
        "system_channel_id": None,
        "system_channel_flags": 0,
        "rules_channel_id": None,
        "public_updates_channel_id": None,
        "safety_alerts_channel_id": None,
        "afk_channel_id": None,
        "afk_timeout": 300,
        "widget_enabled": False,
        "widget_channel_id": None,
        "application_id": None,
        "vanity_url_code": None,
        "max_members": 500000,
        "max_presences": None,
        "max_video_channel_users": 25,
        "max_stage_video_channel_users": 50,
        "incidents_data": None,
        "owner_configured_content_level": 0,
    }


def guild_create_json(guild: Guild, bot: User) -> Json:
    """What GUILD_CREATE tells: also channels, threads the bot may see, and, without the members intent, the bot."""
    mine = guild.members[bot.id]
    return guild_json(guild) | {
        "joined_at": stamp(mine.joined_at),
        "large": False,
        "unavailable": False,
        "member_count": len(guild.members),
        "members": [member_json(mine)],
        "channels": [channel_json(channel) for channel in guild.channels],
        "threads": [thread_json_for(thread, bot) for thread in guild.active_threads],
        "presences": [],
        "voice_states": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def thread_json_for(thread: Channel, user: User) -> Json:
    """With the user's own membership, if any."""
    payload = channel_json(thread)
    if user in thread.thread_members:
        payload["member"] = thread_member_json(thread, user)
    return payload


def attachment_json(attachment: Attachment) -> Json:
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
    return payload


def message_json(message: Message, reader: Reader | None = None, *, with_reference: bool = True) -> Json:
    """As REST shows it, or, to a gateway session, with what that session may not read left empty."""
    is_hidden = reader is not None and not reader.message_content and _is_private_to_its_author(message)
    payload: Json = {
        "id": str(message.id),
        "channel_id": str(message.channel.id),
        "author": user_json(message.author),
        "timestamp": stamp(message.created_at),
        "edited_timestamp": None if message.edited_at is None else stamp(message.edited_at),
        "type": message.kind,
        "flags": message.flags,
        "tts": False,
        "pinned": False,
        "mention_everyone": message.mentions_everyone,
        "mentions": [user_json(user) for user in message.mentions],
        "mention_roles": [str(role) for role in message.mentioned_roles],
        "content": "" if is_hidden else message.content,
        "embeds": [] if is_hidden else message.embeds,
        "attachments": [] if is_hidden else [attachment_json(one) for one in message.attachments],
        "components": [] if is_hidden else message.components,
    }
    return payload | _optional_parts(message, reader, with_reference=with_reference)


def _is_private_to_its_author(message: Message) -> bool:
    """Whether the message content intent is needed: not for direct messages, the bot's own, and mentions of it."""
    bot = message.channel.world.bot
    return message.channel.guild is not None and message.author is not bot and bot not in message.mentions


def _optional_parts(message: Message, reader: Reader | None, *, with_reference: bool) -> Json:
    payload: Json = {}
    if message.nonce is not None:
        payload["nonce"] = message.nonce
    if message.thread is not None and not message.thread.is_deleted:
        payload["thread"] = channel_json(message.thread)
    if message.reference is not None:
        payload |= _reference_parts(message.reference, reader, with_message=with_reference)
    if message.interaction is not None:
        application = str(message.channel.world.application_id)
        metadata = metadata_json(message.interaction)
        payload |= {"application_id": application, "webhook_id": application, "interaction_metadata": metadata}
    if message.reactions:
        payload["reactions"] = [_reaction_json(message, emoji) for emoji in message.reactions]
    return payload


def _reference_parts(reference: Message, reader: Reader | None, *, with_message: bool) -> Json:
    payload: Json = {
        "message_reference": {"type": 0, "channel_id": str(reference.channel.id), "message_id": str(reference.id)}
    }
    if reference.channel.guild is not None:
        payload["message_reference"]["guild_id"] = str(reference.channel.guild.id)
    if with_message:
        gone = reference.is_deleted
        payload["referenced_message"] = None if gone else message_json(reference, reader, with_reference=False)
    return payload


def _reaction_json(message: Message, emoji: str) -> Json:
    users = message.reactions[emoji]
    return {
        "count": len(users),
        "count_details": {"burst": 0, "normal": len(users)},
        "me": message.channel.world.bot in users,
        "me_burst": False,
        "burst_colors": [],
        "emoji": {"id": None, "name": emoji},
    }


def metadata_json(interaction: "Interaction") -> Json:
    payload: Json = {
        "id": str(interaction.id),
        "type": interaction.kind,
        "user": user_json(interaction.user),
        "authorizing_integration_owners": interaction.owners,
    }
    if interaction.message_pressed is not None:
        payload["interacted_message_id"] = str(interaction.message_pressed.id)
    if interaction.kind == 5:
        payload["triggering_interaction_metadata"] = payload | {"type": 2}
    if interaction.kind == 2:
        payload |= {"name": interaction.data["name"], "command_type": interaction.data["type"]}
    return payload


def interaction_json(interaction: "Interaction") -> Json:
    """What INTERACTION_CREATE tells."""
    channel, world = interaction.channel, interaction.world
    payload: Json = {
        "id": str(interaction.id),
        "application_id": str(world.application_id),
        "type": interaction.kind,
        "token": interaction.token,
        "version": 1,
        "data": interaction.data,
        "channel_id": str(channel.id),
        "channel": channel_json(channel),
        "locale": interaction.user.locale,
        "context": interaction.context,
        "authorizing_integration_owners": interaction.owners,
        "app_permissions": str(_app_permissions(interaction)),
        "attachment_size_limit": interaction.upload_limit,
        "entitlements": [],
        "entitlement_sku_ids": [],
    }
    if interaction.message_pressed is not None:
        payload["message"] = message_json(interaction.message_pressed)
    if channel.guild is None:
        return payload | {"user": user_json(interaction.user)}
    member = channel.guild.members[interaction.user.id]
    return payload | {
        "guild_id": str(channel.guild.id),
        "guild": {"id": str(channel.guild.id), "locale": channel.guild.locale, "features": []},
        "guild_locale": channel.guild.locale,
        "member": member_json(member, channel=channel),
    }


def _app_permissions(interaction: "Interaction") -> int:
    """Where the bot is not, what an app may do through a user's install: answer, with files and links."""
    powers: Any = interaction.world.bot_permissions(interaction.channel)
    return int(powers or (1 << 11 | 1 << 14 | 1 << 15 | 1 << 17 | 1 << 18))
