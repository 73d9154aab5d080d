"""Routes of channel messages for the bot's account: create, read, edit, delete, react."""

from urllib.parse import unquote

from tests.emulators.discord.errors import (
    CANNOT_SEND_TO_USER,
    NO_MUTUAL_GUILDS,
    NO_VOICE_HERE,
    NOT_THE_AUTHOR,
    SYSTEM_MESSAGE,
    THREAD_ARCHIVED,
    TOO_MANY_OLD_EDITS,
    UNKNOWN_MESSAGE,
    DiscordErrorResponse,
    raise_if_invalid,
)
from tests.emulators.discord.files import VOICE_MESSAGE
from tests.emulators.discord.message_payloads import message_json
from tests.emulators.discord.messages import EPHEMERAL, DiscordMessageState
from tests.emulators.discord.posting import create_message as post
from tests.emulators.discord.posting import delete_message as remove
from tests.emulators.discord.posting import edit_message as change
from tests.emulators.discord.request_context import DiscordRateLimitResponse, DiscordRequestContext, RouteResponse
from tests.emulators.discord.state import DiscordChannelState
from tests.emulators.discord.threads import activate_thread
from tests.specs.discord_schemas import DiscordViolation

OLD_MESSAGE_SECONDS = 3600
NONCE_SECONDS = 5 * 60


def create_message(context: DiscordRequestContext) -> RouteResponse:
    channel = context.get_channel()
    needed = ["send_messages_in_threads" if channel.is_thread else "send_messages"]
    is_voice = bool(int((context.body or {}).get("flags") or 0) & VOICE_MESSAGE)
    # Voice messages need their own permission, and not the one for files.
    needed += ["attach_files"] if context.files and not is_voice else []
    needed += ["embed_links"] if (context.body or {}).get("embeds") else []
    context.require_permissions(channel, *needed)
    if is_voice and not context.has_permission(channel, "send_voice_messages"):
        raise DiscordErrorResponse(NO_VOICE_HERE)
    _check_direct_channel(context, channel)
    if channel.is_thread and channel.archived and channel.locked:
        raise DiscordErrorResponse(THREAD_ARCHIVED)
    body = context.body or {}
    context.check_allowed_mentions(body)
    if int(body.get("flags") or 0) & EPHEMERAL:
        raise_if_invalid(
            [DiscordViolation(("flags",), "MESSAGE_FLAGS_INVALID", "only answers to interactions are ephemeral")]
        )
    if body.get("enforce_nonce") and (known := _find_by_nonce(context, channel)):
        return 200, message_json(known)
    reference = _find_reference(context, channel)
    message = post(
        context.state, channel, context.state.bot, context.draft, reference=reference, kind=19 if reference else 0
    )
    activate_thread(context.state, channel, context.state.bot)
    return 200, context.serialize_written_message(message)


def _check_direct_channel(context: DiscordRequestContext, channel: DiscordChannelState) -> None:
    if channel.guild is not None:
        return
    (user,) = channel.recipients
    if user.blocks_direct_messages:
        raise DiscordErrorResponse(CANNOT_SEND_TO_USER)
    if not user.has_installed_the_app and not any(
        user.id in guild.members for guild in context.emulator.list_bot_guilds()
    ):
        raise DiscordErrorResponse(NO_MUTUAL_GUILDS)


def _find_by_nonce(context: DiscordRequestContext, channel: DiscordChannelState) -> DiscordMessageState | None:
    since = context.state.clock.now() - context.state.clock.scale(NONCE_SECONDS)
    for message in channel.history:
        is_ours = message.author is context.state.bot and message.created_at >= since
        if is_ours and message.nonce is not None and str(message.nonce) == str(context.body.get("nonce")):
            return message
    return None


def _find_reference(context: DiscordRequestContext, channel: DiscordChannelState) -> DiscordMessageState | None:
    wanted = (context.body or {}).get("message_reference")
    if not wanted:
        return None
    context.require_permissions(channel, "read_message_history")
    found = channel.find_message(int(wanted["message_id"]))
    if found is None and wanted.get("fail_if_not_exists") is not False:
        raise_if_invalid(
            [DiscordViolation(("message_reference",), "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "Unknown message")]
        )
    return found


def edit_message(context: DiscordRequestContext) -> RouteResponse:
    channel = context.get_channel()
    message = context.get_message(channel)
    if message.author is not context.state.bot:
        raise DiscordErrorResponse(NOT_THE_AUTHOR)
    if message.is_system:
        raise DiscordErrorResponse(SYSTEM_MESSAGE)
    if channel.is_thread and channel.archived:
        raise DiscordErrorResponse(THREAD_ARCHIVED)
    context.require_permissions(channel, *(["attach_files"] if context.files else []))
    if (context.body or {}).get("content"):
        # discord.py sends allowed_mentions beside content only; edits of channel messages notify no users.
        context.check_allowed_mentions(context.body)
    _count_old_edit(context, message)
    return 200, context.serialize_written_message(change(context.state, message, context.draft))


def _count_old_edit(context: DiscordRequestContext, message: DiscordMessageState) -> None:
    if context.state.clock.now() - message.created_at <= context.state.clock.scale(OLD_MESSAGE_SECONDS):
        return
    message.old_edit_count += 1
    if message.old_edit_count > context.emulator.max_old_edits:
        refusal = TOO_MANY_OLD_EDITS
        raise DiscordRateLimitResponse(
            context.state.clock.scale(OLD_MESSAGE_SECONDS), code=refusal.code, message=refusal.message
        )


def get_message(context: DiscordRequestContext) -> RouteResponse:
    return 200, message_json(context.get_message(context.get_channel("read_message_history")))


def list_messages(context: DiscordRequestContext) -> RouteResponse:
    channel = context.get_channel("read_message_history")
    found = [message for message in channel.history if not message.is_deleted]
    if "before" in context.query:
        found = [message for message in found if message.id < int(context.query["before"])]
    limit = int(context.query.get("limit", 50))
    if "after" in context.query:
        younger = [message for message in found if message.id > int(context.query["after"])]
        return 200, [message_json(message) for message in reversed(younger[:limit])]
    if "around" in context.query:
        middle = int(context.query["around"])
        near = sorted(found, key=lambda message: abs(message.id - middle))[:limit]
        found = sorted(near, key=lambda message: message.id)
    return 200, [message_json(message) for message in reversed(found[-limit:])]


def delete_message(context: DiscordRequestContext) -> RouteResponse:
    channel = context.get_channel()
    message = context.get_message(channel)
    if message.author is not context.state.bot:
        context.require_permissions(channel, "manage_messages")
    remove(context.state, message)
    return 204, None


def bulk_delete_messages(context: DiscordRequestContext) -> RouteResponse:
    channel = context.get_channel("manage_messages")
    for message_id in context.body["messages"]:
        if message := channel.find_message(int(message_id)):
            remove(context.state, message)
    return 204, None


def add_reaction(context: DiscordRequestContext) -> RouteResponse:
    message = context.get_message(context.get_channel("add_reactions", "read_message_history"))
    users = message.reactions.setdefault(unquote(context.parameters["emoji_name"]), [])
    if context.state.bot not in users:
        users.append(context.state.bot)
    context.state.changes.notify()
    return 204, None


def remove_reaction(context: DiscordRequestContext) -> RouteResponse:
    message = context.get_message(context.get_channel())
    users = message.reactions.get(unquote(context.parameters["emoji_name"]), [])
    if context.state.bot not in users:
        raise DiscordErrorResponse(UNKNOWN_MESSAGE)
    users.remove(context.state.bot)
    context.state.changes.notify()
    return 204, None


ROUTES = {
    "create_message": create_message,
    "update_message": edit_message,
    "get_message": get_message,
    "list_messages": list_messages,
    "delete_message": delete_message,
    "bulk_delete_messages": bulk_delete_messages,
    "add_my_message_reaction": add_reaction,
    "delete_my_message_reaction": remove_reaction,
}
