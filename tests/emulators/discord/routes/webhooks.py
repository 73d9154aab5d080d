"""Routes of an interaction's token, for fifteen minutes: followups and `@original`."""

from collections.abc import Callable

from tests.emulators.discord.errors import (
    THREAD_ARCHIVED,
    TOKEN_EXPIRED,
    UNKNOWN_CHANNEL,
    UNKNOWN_MESSAGE,
    UNKNOWN_WEBHOOK,
    DiscordErrorResponse,
)
from tests.emulators.discord.interactions import DiscordInteractionState
from tests.emulators.discord.message_payloads import message_json
from tests.emulators.discord.messages import EPHEMERAL, DiscordMessageState
from tests.emulators.discord.posting import create_message, delete_message, edit_message
from tests.emulators.discord.request_context import DiscordRateLimitResponse, DiscordRequestContext, RouteResponse
from tests.emulators.discord.routes.interactions import build_response_fields
from tests.emulators.discord.threads import activate_thread


def _get_interaction(context: DiscordRequestContext) -> DiscordInteractionState:
    token = context.parameters["webhook_token"]
    interaction = next(
        (candidate for candidate in context.state.interactions.values() if candidate.token == token), None
    )
    if interaction is None or context.parameters["webhook_id"] != str(context.state.application_id):
        raise DiscordErrorResponse(UNKNOWN_WEBHOOK)
    if interaction.is_expired:
        raise DiscordErrorResponse(TOKEN_EXPIRED)
    if interaction.channel.is_deleted:
        raise DiscordErrorResponse(UNKNOWN_CHANNEL)
    if not interaction.is_acknowledged:
        # To read the response is the way to find out after a crash whether a response arrived: no mistake.
        if context.request.operation == "get_original_webhook_message":
            raise DiscordErrorResponse(UNKNOWN_WEBHOOK)
        context.request_log.record_violation(context.request, f"{interaction} is used before it is acknowledged")
        raise DiscordErrorResponse(UNKNOWN_WEBHOOK)
    return interaction


def _get_original_message(context: DiscordRequestContext) -> DiscordMessageState:
    found = _get_interaction(context).original_message
    if found is None or found.is_deleted:
        raise DiscordErrorResponse(UNKNOWN_MESSAGE)
    return found


def _get_message(context: DiscordRequestContext) -> DiscordMessageState:
    interaction = _get_interaction(context)
    messages = [*interaction.replies, *([interaction.original_message] if interaction.original_message else [])]
    for message in messages:
        if str(message.id) == context.parameters["message_id"] and not message.is_deleted:
            return message
    raise DiscordErrorResponse(UNKNOWN_MESSAGE)


def execute_webhook(context: DiscordRequestContext) -> RouteResponse:
    interaction = _get_interaction(context)
    context.check_allowed_mentions(context.body or {})
    original = interaction.original_message
    if original is not None and original.is_thinking and not original.is_deleted:
        # The first followup replaces “is thinking” and inherits its visibility
        # (discord.com/developers/docs/interactions/receiving-and-responding).
        if _is_ephemeral_requested(context) and not original.is_ephemeral:
            context.request_log.record_violation(
                context.request, "a private followup took the place of a public “is thinking”"
            )
        return 200, context.serialize_written_message(edit_message(context.state, original, context.draft))
    wait = context.emulator.rate_limits.take_hidden("followup", {"channel_id": str(interaction.channel.id)})
    if wait:
        raise DiscordRateLimitResponse(wait)
    traits = build_response_fields(interaction) | {"kind": 0, "reference": None}
    if _is_ephemeral_requested(context):
        traits["visible_to"] = interaction.user
    message = create_message(context.state, interaction.channel, context.state.bot, context.draft, **traits)
    interaction.replies.append(message)
    activate_thread(context.state, interaction.channel, context.state.bot)
    context.state.changes.notify()
    return 200, context.serialize_written_message(message)


def _is_ephemeral_requested(context: DiscordRequestContext) -> bool:
    return bool(int((context.body or {}).get("flags") or 0) & EPHEMERAL)


def _create_reader(
    find: Callable[[DiscordRequestContext], DiscordMessageState],
) -> Callable[[DiscordRequestContext], RouteResponse]:
    return lambda call: (200, message_json(find(call)))


def _create_editor(
    find: Callable[[DiscordRequestContext], DiscordMessageState],
) -> Callable[[DiscordRequestContext], RouteResponse]:
    def edit(call: DiscordRequestContext) -> RouteResponse:
        message = find(call)
        call.check_allowed_mentions(call.body or {})
        interaction = _get_interaction(call)
        if message is interaction.source_message:
            interaction.has_edited_source_message = True
        if message.channel.is_thread and message.channel.archived:
            raise DiscordErrorResponse(THREAD_ARCHIVED)
        return 200, call.serialize_written_message(edit_message(call.state, message, call.draft))

    return edit


def _create_deleter(
    find: Callable[[DiscordRequestContext], DiscordMessageState],
) -> Callable[[DiscordRequestContext], RouteResponse]:
    def delete(call: DiscordRequestContext) -> RouteResponse:
        delete_message(call.state, find(call))
        return 204, None

    return delete


ROUTES = {
    "execute_webhook": execute_webhook,
    "get_original_webhook_message": _create_reader(_get_original_message),
    "update_original_webhook_message": _create_editor(_get_original_message),
    "delete_original_webhook_message": _create_deleter(_get_original_message),
    "get_webhook_message": _create_reader(_get_message),
    "update_webhook_message": _create_editor(_get_message),
    "delete_webhook_message": _create_deleter(_get_message),
}
