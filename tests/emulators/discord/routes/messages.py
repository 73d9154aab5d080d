"""Messages of channels, as the bot's own account writes, reads, edits and deletes them."""

from urllib.parse import unquote

from tests.emulators.discord.calls import Answer, Call, Limited
from tests.emulators.discord.message_payloads import message_json
from tests.emulators.discord.messages import EPHEMERAL, Message
from tests.emulators.discord.posting import create_message as post
from tests.emulators.discord.posting import delete_message as remove
from tests.emulators.discord.posting import edit_message as change
from tests.emulators.discord.refusals import (
    CANNOT_SEND_TO_USER,
    NO_MUTUAL_GUILDS,
    NOT_THE_AUTHOR,
    SYSTEM_MESSAGE,
    THREAD_ARCHIVED,
    TOO_MANY_OLD_EDITS,
    UNKNOWN_MESSAGE,
    Refused,
    check,
)
from tests.emulators.discord.threads import wake
from tests.emulators.discord.world import Channel
from tests.specs.discord import Fault

SECONDS_UNTIL_OLD = 3600
SECONDS_OF_NONCE = 5 * 60


def create_message(call: Call) -> Answer:
    channel = call.channel()
    needed = ["send_messages_in_threads" if channel.is_thread else "send_messages"]
    needed += ["attach_files"] if call.files else []
    needed += ["embed_links"] if (call.body or {}).get("embeds") else []
    call.need(channel, *needed)
    _check_direct(call, channel)
    if channel.is_thread and channel.archived and channel.locked:
        raise Refused(THREAD_ARCHIVED)
    body = call.body or {}
    call.expect_allowed_mentions(body)
    if int(body.get("flags") or 0) & EPHEMERAL:
        check([Fault(("flags",), "MESSAGE_FLAGS_INVALID", "only answers to interactions are ephemeral")])
    if body.get("enforce_nonce") and (known := _same_nonce(call, channel)):
        return 200, message_json(known)
    reference = _reference(call, channel)
    message = post(call.world, channel, call.world.bot, call.draft, reference=reference, kind=19 if reference else 0)
    wake(call.world, channel, call.world.bot)
    return 200, call.wrote(message)


def _check_direct(call: Call, channel: Channel) -> None:
    if channel.guild is not None:
        return
    (user,) = channel.recipients
    if user.blocks_direct_messages:
        raise Refused(CANNOT_SEND_TO_USER)
    if not user.has_installed_the_app and not any(user.id in guild.members for guild in call.emulator.bot_guilds()):
        raise Refused(NO_MUTUAL_GUILDS)


def _same_nonce(call: Call, channel: Channel) -> Message | None:
    since = call.world.clock.now() - call.world.clock.span(SECONDS_OF_NONCE)
    for message in channel.history:
        is_ours = message.author is call.world.bot and message.created_at >= since
        if is_ours and message.nonce is not None and str(message.nonce) == str(call.body.get("nonce")):
            return message
    return None


def _reference(call: Call, channel: Channel) -> Message | None:
    wanted = (call.body or {}).get("message_reference")
    if not wanted:
        return None
    call.need(channel, "read_message_history")
    found = channel.message(int(wanted["message_id"]))
    if found is None and wanted.get("fail_if_not_exists") is not False:
        check([Fault(("message_reference",), "MESSAGE_REFERENCE_UNKNOWN_MESSAGE", "Unknown message")])
    return found


def edit_message(call: Call) -> Answer:
    channel = call.channel()
    message = call.message(channel)
    if message.author is not call.world.bot:
        raise Refused(NOT_THE_AUTHOR)
    if message.is_system:
        raise Refused(SYSTEM_MESSAGE)
    if channel.is_thread and channel.archived:
        raise Refused(THREAD_ARCHIVED)
    call.need(channel, *(["attach_files"] if call.files else []))
    if (call.body or {}).get("content"):
        # Edits of channel messages notify nobody; discord.py sends allowed_mentions beside content only.
        call.expect_allowed_mentions(call.body)
    _count_old_edit(call, message)
    return 200, call.wrote(change(call.world, message, call.draft))


def _count_old_edit(call: Call, message: Message) -> None:
    if call.world.clock.now() - message.created_at <= call.world.clock.span(SECONDS_UNTIL_OLD):
        return
    message.old_edits += 1
    if message.old_edits > call.emulator.old_edits_allowed:
        refusal = TOO_MANY_OLD_EDITS
        raise Limited(call.world.clock.span(SECONDS_UNTIL_OLD), code=refusal.code, message=refusal.message)


def get_message(call: Call) -> Answer:
    return 200, message_json(call.message(call.channel("read_message_history")))


def list_messages(call: Call) -> Answer:
    channel = call.channel("read_message_history")
    found = [message for message in channel.history if not message.is_deleted]
    if "before" in call.query:
        found = [message for message in found if message.id < int(call.query["before"])]
    limit = int(call.query.get("limit", 50))
    if "after" in call.query:
        younger = [message for message in found if message.id > int(call.query["after"])]
        return 200, [message_json(message) for message in reversed(younger[:limit])]
    if "around" in call.query:
        middle = int(call.query["around"])
        near = sorted(found, key=lambda message: abs(message.id - middle))[:limit]
        found = sorted(near, key=lambda message: message.id)
    return 200, [message_json(message) for message in reversed(found[-limit:])]


def delete_message(call: Call) -> Answer:
    channel = call.channel()
    message = call.message(channel)
    if message.author is not call.world.bot:
        call.need(channel, "manage_messages")
    remove(call.world, message)
    return 204, None


def bulk_delete_messages(call: Call) -> Answer:
    channel = call.channel("manage_messages")
    for message_id in call.body["messages"]:
        if message := channel.message(int(message_id)):
            remove(call.world, message)
    return 204, None


def add_reaction(call: Call) -> Answer:
    message = call.message(call.channel("add_reactions", "read_message_history"))
    users = message.reactions.setdefault(unquote(call.parameters["emoji_name"]), [])
    if call.world.bot not in users:
        users.append(call.world.bot)
    call.world.changes.happened()
    return 204, None


def remove_reaction(call: Call) -> Answer:
    message = call.message(call.channel())
    users = message.reactions.get(unquote(call.parameters["emoji_name"]), [])
    if call.world.bot not in users:
        raise Refused(UNKNOWN_MESSAGE)
    users.remove(call.world.bot)
    call.world.changes.happened()
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
