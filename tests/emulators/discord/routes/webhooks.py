"""What an interaction's token may do for fifteen minutes: followups, and `@original`."""

from collections.abc import Callable

from tests.emulators.discord.calls import Answer, Call, Limited
from tests.emulators.discord.interactions import Interaction
from tests.emulators.discord.message_payloads import message_json
from tests.emulators.discord.messages import EPHEMERAL, Message
from tests.emulators.discord.posting import create_message, delete_message, edit_message
from tests.emulators.discord.refusals import (
    THREAD_ARCHIVED,
    TOKEN_EXPIRED,
    UNKNOWN_CHANNEL,
    UNKNOWN_MESSAGE,
    UNKNOWN_WEBHOOK,
    Refused,
)
from tests.emulators.discord.routes.interactions import answer_traits
from tests.emulators.discord.threads import wake


def _interaction(call: Call) -> Interaction:
    token = call.parameters["webhook_token"]
    interaction = next((one for one in call.world.interactions.values() if one.token == token), None)
    if interaction is None or call.parameters["webhook_id"] != str(call.world.application_id):
        raise Refused(UNKNOWN_WEBHOOK)
    if interaction.is_expired:
        raise Refused(TOKEN_EXPIRED)
    if interaction.channel.is_deleted:
        raise Refused(UNKNOWN_CHANNEL)
    if not interaction.is_answered:
        call.records.violation(call.request, f"{interaction} is used before it is acknowledged")
        raise Refused(UNKNOWN_WEBHOOK)
    return interaction


def _original(call: Call) -> Message:
    found = _interaction(call).original
    if found is None or found.is_deleted:
        raise Refused(UNKNOWN_MESSAGE)
    return found


def _by_id(call: Call) -> Message:
    interaction = _interaction(call)
    mine = [*interaction.replies, *([interaction.original] if interaction.original else [])]
    for message in mine:
        if str(message.id) == call.parameters["message_id"] and not message.is_deleted:
            return message
    raise Refused(UNKNOWN_MESSAGE)


def execute_webhook(call: Call) -> Answer:
    interaction = _interaction(call)
    call.expect_allowed_mentions(call.body or {})
    original = interaction.original
    if original is not None and original.is_thinking and not original.is_deleted:
        # The first followup takes the place of “is thinking”, and stays as private as that was.
        if _wants_privacy(call) and not original.is_ephemeral:
            call.records.violation(call.request, "a private followup took the place of a public “is thinking”")
        return 200, call.wrote(edit_message(call.world, original, call.draft))
    wait = call.emulator.rate_limits.take_hidden("followup", {"channel_id": str(interaction.channel.id)})
    if wait:
        raise Limited(wait)
    traits = answer_traits(interaction) | {"kind": 0, "reference": None}
    if _wants_privacy(call):
        traits["visible_to"] = interaction.user
    message = create_message(call.world, interaction.channel, call.world.bot, call.draft, **traits)
    interaction.replies.append(message)
    wake(call.world, interaction.channel, call.world.bot)
    call.world.changes.happened()
    return 200, call.wrote(message)


def _wants_privacy(call: Call) -> bool:
    return bool(int((call.body or {}).get("flags") or 0) & EPHEMERAL)


def _reading(find: Callable[[Call], Message]) -> Callable[[Call], Answer]:
    return lambda call: (200, message_json(find(call)))


def _editing(find: Callable[[Call], Message]) -> Callable[[Call], Answer]:
    def edit(call: Call) -> Answer:
        message = find(call)
        call.expect_allowed_mentions(call.body or {})
        interaction = _interaction(call)
        if message is interaction.message_pressed:
            interaction.edited_pressed_message = True
        if message.channel.is_thread and message.channel.archived:
            raise Refused(THREAD_ARCHIVED)
        return 200, call.wrote(edit_message(call.world, message, call.draft))

    return edit


def _deleting(find: Callable[[Call], Message]) -> Callable[[Call], Answer]:
    def delete(call: Call) -> Answer:
        delete_message(call.world, find(call))
        return 204, None

    return delete


ROUTES = {
    "execute_webhook": execute_webhook,
    "get_original_webhook_message": _reading(_original),
    "update_original_webhook_message": _editing(_original),
    "delete_original_webhook_message": _deleting(_original),
    "get_webhook_message": _reading(_by_id),
    "update_webhook_message": _editing(_by_id),
    "delete_webhook_message": _deleting(_by_id),
}
