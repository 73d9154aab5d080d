"""Serializes accounts, guilds and channels as Discord's JSON."""

from datetime import UTC, datetime

from tests.emulators.discord.state import (
    DIRECT,
    GROUP,
    DiscordChannelState,
    DiscordGuildState,
    DiscordMemberState,
    DiscordRoleState,
    DiscordUserState,
    Json,
)

MEBIBYTE = 1024 * 1024


def format_timestamp(at: float) -> str:
    """Format Unix seconds as Discord does."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="microseconds")


def user_json(user: DiscordUserState) -> Json:
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


def member_json(
    member: DiscordMemberState, *, channel: DiscordChannelState | None = None, with_user: bool = True
) -> Json:
    """Return a member; with `channel`, also the member's permissions there, as in interactions."""
    payload: Json = {
        "roles": [str(role.id) for role in member.roles],
        "joined_at": format_timestamp(member.joined_at),
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


def role_json(role: DiscordRoleState) -> Json:
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


def channel_json(channel: DiscordChannelState) -> Json:
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


def _text_part(channel: DiscordChannelState) -> Json:
    assert channel.guild is not None
    roles = {role.id for role in channel.guild.roles}
    return {
        "position": 0,
        "parent_id": None,
        "nsfw": channel.age_restricted,
        "topic": channel.topic,
        "default_auto_archive_duration": 4320,
        "permission_overwrites": [
            {"id": str(target_id), "type": 0 if target_id in roles else 1, "deny": str(denied), "allow": str(allowed)}
            for target_id, (denied, allowed) in channel.overwrites.items()
        ],
    }


def _thread_part(thread: DiscordChannelState) -> Json:
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
            "archive_timestamp": format_timestamp(thread.archived_at),
            "auto_archive_duration": thread.archive_minutes,
            "locked": thread.locked,
            "create_timestamp": format_timestamp(thread.archived_at),
        },
    }


def thread_member_json(thread: DiscordChannelState, user: DiscordUserState) -> Json:
    at = format_timestamp(thread.archived_at)
    return {"id": str(thread.id), "user_id": str(user.id), "join_timestamp": at, "flags": 0}


def guild_json(guild: DiscordGuildState) -> Json:
    """Return a guild as REST shows guilds."""
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
        "premium_tier": _tier(guild),
        "premium_subscription_count": 0,
        "premium_progress_bar_enabled": False,
        "premium_progress_bar_enabled_user_updated_at": None,
        "preferred_locale": guild.locale,
        "system_channel_id": None if guild.system_channel is None else str(guild.system_channel.id),
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


def _tier(guild: DiscordGuildState) -> int:
    """Return the boost level of the guild's upload limit."""
    if guild.upload_limit_bytes >= 100 * MEBIBYTE:
        return 3
    return 2 if guild.upload_limit_bytes >= 50 * MEBIBYTE else 0


def guild_create_json(guild: DiscordGuildState, bot: DiscordUserState) -> Json:
    """Return the payload of GUILD_CREATE: the guild with channels, threads visible to the bot, and the bot's
    membership.

    Other members need the members intent. READY's guilds come with `unavailable: false` besides, joined guilds without.
    """
    membership = guild.members[bot.id]
    return guild_json(guild) | {
        "joined_at": format_timestamp(membership.joined_at),
        "large": False,
        "member_count": len(guild.members),
        "members": [member_json(membership)],
        "channels": [channel_json(channel) for channel in guild.channels],
        "threads": [thread_json(thread, bot) for thread in guild.active_threads],
        "presences": [],
        "voice_states": [],
        "stage_instances": [],
        "guild_scheduled_events": [],
        "soundboard_sounds": [],
    }


def thread_json(thread: DiscordChannelState, user: DiscordUserState) -> Json:
    """Return a thread with the user's own membership, if any."""
    payload = channel_json(thread)
    if user in thread.thread_members:
        payload["member"] = thread_member_json(thread, user)
    return payload
