"""Responses to interactions: within three seconds, once, and only of a kind that the interaction allows."""

from collections.abc import Callable
from typing import Any

from tests.emulators.discord.components import validate_modal
from tests.emulators.discord.errors import (
    ALREADY_ACKNOWLEDGED,
    UNKNOWN_CHANNEL,
    UNKNOWN_INTERACTION,
    DiscordErrorResponse,
    raise_if_invalid,
)
from tests.emulators.discord.interactions import (
    ACKNOWLEDGEMENT_SECONDS,
    AUTOCOMPLETE,
    CHOICES,
    COMMAND,
    COMPONENT,
    DEFERRED_MESSAGE,
    DEFERRED_UPDATE,
    MESSAGE,
    MODAL,
    MODAL_SUBMIT,
    UPDATE,
    DiscordInteractionState,
    DiscordModalState,
)
from tests.emulators.discord.message_payloads import message_json
from tests.emulators.discord.messages import EPHEMERAL, LOADING, DiscordMessageState
from tests.emulators.discord.posting import DiscordMessageDraft, create_message, edit_message, publish
from tests.emulators.discord.request_context import DiscordRequestContext, RouteResponse
from tests.emulators.discord.state import Json
from tests.specs.discord_schemas import DiscordViolation

_ALLOWED_RESPONSES = {
    COMMAND: {MESSAGE, DEFERRED_MESSAGE, MODAL},
    COMPONENT: {MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {MESSAGE, DEFERRED_MESSAGE},
}
COMMAND_RESPONSE_MESSAGE, MENU_RESPONSE_MESSAGE = 20, 23


def create_interaction_response(context: DiscordRequestContext) -> RouteResponse:
    interaction = _open_interaction(context)
    kind = int(context.body["type"])
    allowed = set(_ALLOWED_RESPONSES[interaction.kind])
    if interaction.kind == MODAL_SUBMIT and interaction.source_message is not None:
        allowed |= {UPDATE, DEFERRED_UPDATE}
    if kind not in allowed:
        raise_if_invalid(
            [
                DiscordViolation(
                    ("type",), "INTERACTION_CALLBACK_TYPE_INVALID", f"{interaction} cannot be answered with {kind}"
                )
            ]
        )
    draft = DiscordMessageDraft(context.body.get("data") or {}, context.files)
    if kind in (MESSAGE, UPDATE):
        context.check_allowed_mentions(draft.fields)
    _RESPONSE_HANDLERS[kind](interaction, draft)
    if kind in (MESSAGE, UPDATE) and interaction.original_message:
        context.serialize_written_message(interaction.original_message)
    interaction.acknowledged_at = context.state.clock.now()
    interaction.response_kind = kind
    context.state.changes.notify()
    if context.query.get("with_response", "").lower() in ("1", "true"):
        return 200, _callback_json(interaction, kind)
    return 204, None


def _open_interaction(context: DiscordRequestContext) -> DiscordInteractionState:
    interaction = context.state.interactions.get(int(context.parameters["interaction_id"]))
    if interaction is None or interaction.token != context.parameters["interaction_token"]:
        raise DiscordErrorResponse(UNKNOWN_INTERACTION)
    if interaction.is_acknowledged:
        context.request_log.record_violation(context.request, f"{interaction} was acknowledged twice")
        raise DiscordErrorResponse(ALREADY_ACKNOWLEDGED)
    waited = context.state.clock.now() - interaction.sent_at
    if waited > context.state.clock.scale(ACKNOWLEDGEMENT_SECONDS):
        context.request_log.record_violation(
            context.request, f"{interaction} was acknowledged late, after {waited:.2f} s"
        )
        raise DiscordErrorResponse(UNKNOWN_INTERACTION)
    if interaction.channel.is_deleted:
        raise DiscordErrorResponse(UNKNOWN_CHANNEL)
    return interaction


def build_response_fields(interaction: DiscordInteractionState) -> Json:
    """Return the fields shared by all messages of an interaction."""
    kind = (
        0
        if interaction.kind != COMMAND
        else COMMAND_RESPONSE_MESSAGE
        if interaction.data["type"] == 1
        else MENU_RESPONSE_MESSAGE
    )
    return {"interaction": interaction, "kind": kind}


def _send_message(interaction: DiscordInteractionState, draft: DiscordMessageDraft) -> None:
    traits = build_response_fields(interaction)
    if int(draft.fields.get("flags") or 0) & EPHEMERAL:
        traits["visible_to"] = interaction.user
    message = create_message(interaction.state, interaction.channel, interaction.state.bot, draft, **traits)
    interaction.original_message = message
    interaction.replies.append(message)


def _defer_message(interaction: DiscordInteractionState, draft: DiscordMessageDraft) -> None:
    world = interaction.state
    message = DiscordMessageState(
        world.ids.next(), interaction.channel, world.bot, world.clock.now(), **build_response_fields(interaction)
    )
    message.flags = LOADING | (int(draft.fields.get("flags") or 0) & EPHEMERAL)
    message.visible_to = interaction.user if message.is_ephemeral else None
    interaction.original_message = message
    interaction.replies.append(message)
    publish(world, message)


def _defer_update(interaction: DiscordInteractionState, draft: DiscordMessageDraft) -> None:
    interaction.original_message = interaction.source_message


def _update_message(interaction: DiscordInteractionState, draft: DiscordMessageDraft) -> None:
    assert interaction.source_message is not None
    interaction.original_message = edit_message(interaction.state, interaction.source_message, draft)
    interaction.has_edited_source_message = True


def _send_choices(interaction: DiscordInteractionState, draft: DiscordMessageDraft) -> None:
    interaction.choices = list(draft.fields.get("choices") or [])


def _show_modal(interaction: DiscordInteractionState, draft: DiscordMessageDraft) -> None:
    fields: Any = draft.fields
    raise_if_invalid(list(validate_modal(fields)))
    interaction.modal = DiscordModalState(interaction, fields["custom_id"], fields["title"], fields["components"])


_RESPONSE_HANDLERS: dict[int, Callable[[DiscordInteractionState, DiscordMessageDraft], None]] = {
    MESSAGE: _send_message,
    DEFERRED_MESSAGE: _defer_message,
    DEFERRED_UPDATE: _defer_update,
    UPDATE: _update_message,
    CHOICES: _send_choices,
    MODAL: _show_modal,
}


def _callback_json(interaction: DiscordInteractionState, kind: int) -> Json:
    callback: Json = {"id": str(interaction.id), "type": interaction.kind}
    result: Json = {"interaction": callback}
    message = interaction.original_message
    if message is not None:
        callback["response_message_id"] = str(message.id)
        callback["response_message_loading"] = message.is_thinking
        callback["response_message_ephemeral"] = message.is_ephemeral
        callback["channel_id"] = str(interaction.channel.id)
        if interaction.channel.guild:
            callback["guild_id"] = str(interaction.channel.guild.id)
        if kind in (MESSAGE, UPDATE):
            result["resource"] = {"type": kind, "message": message_json(message)}
    return result


ROUTES = {"create_interaction_response": create_interaction_response}
