"""Answering an interaction: within three seconds, once, and only in the ways its kind allows."""

from collections.abc import Callable
from typing import Any

from tests.emulators.discord.calls import Answer, Call
from tests.emulators.discord.component_rules import modal_faults
from tests.emulators.discord.interactions import (
    AUTOCOMPLETE,
    CHOICES,
    COMMAND,
    COMPONENT,
    DEFERRED_MESSAGE,
    DEFERRED_UPDATE,
    MESSAGE,
    MODAL,
    MODAL_SUBMIT,
    SECONDS_TO_ACKNOWLEDGE,
    UPDATE,
    Interaction,
    Modal,
)
from tests.emulators.discord.message_payloads import message_json
from tests.emulators.discord.messages import EPHEMERAL, LOADING, Message
from tests.emulators.discord.posting import Draft, create_message, edit_message, publish
from tests.emulators.discord.refusals import ALREADY_ACKNOWLEDGED, UNKNOWN_CHANNEL, UNKNOWN_INTERACTION, Refused, check
from tests.emulators.discord.world import Json
from tests.specs.discord import Fault

_WAYS = {
    COMMAND: {MESSAGE, DEFERRED_MESSAGE, MODAL},
    COMPONENT: {MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE, MODAL},
    AUTOCOMPLETE: {CHOICES},
    MODAL_SUBMIT: {MESSAGE, DEFERRED_MESSAGE},
}
COMMAND_ANSWER, MENU_ANSWER = 20, 23


def create_interaction_response(call: Call) -> Answer:
    interaction = _open_interaction(call)
    kind = int(call.body["type"])
    allowed = set(_WAYS[interaction.kind])
    if interaction.kind == MODAL_SUBMIT and interaction.message_pressed is not None:
        allowed |= {UPDATE, DEFERRED_UPDATE}
    if kind not in allowed:
        check([Fault(("type",), "INTERACTION_CALLBACK_TYPE_INVALID", f"{interaction} cannot be answered with {kind}")])
    draft = Draft(call.body.get("data") or {}, call.files)
    if kind in (MESSAGE, UPDATE):
        call.expect_allowed_mentions(draft.fields)
    _ANSWERS[kind](interaction, draft)
    if kind in (MESSAGE, UPDATE) and interaction.original:
        call.wrote(interaction.original)
    interaction.answered_at = call.world.clock.now()
    interaction.answer_kind = kind
    call.world.changes.happened()
    if call.query.get("with_response", "").lower() in ("1", "true"):
        return 200, _callback_json(interaction, kind)
    return 204, None


def _open_interaction(call: Call) -> Interaction:
    interaction = call.world.interactions.get(int(call.parameters["interaction_id"]))
    if interaction is None or interaction.token != call.parameters["interaction_token"]:
        raise Refused(UNKNOWN_INTERACTION)
    if interaction.is_answered:
        call.records.violation(call.request, f"{interaction} was acknowledged twice")
        raise Refused(ALREADY_ACKNOWLEDGED)
    waited = call.world.clock.now() - interaction.sent_at
    if waited > call.world.clock.span(SECONDS_TO_ACKNOWLEDGE):
        call.records.violation(call.request, f"{interaction} was acknowledged late, after {waited:.2f} s")
        raise Refused(UNKNOWN_INTERACTION)
    if interaction.channel.is_deleted:
        raise Refused(UNKNOWN_CHANNEL)
    return interaction


def answer_traits(interaction: Interaction) -> Json:
    """What each message has that answers this interaction."""
    kind = 0 if interaction.kind != COMMAND else COMMAND_ANSWER if interaction.data["type"] == 1 else MENU_ANSWER
    return {"interaction": interaction, "kind": kind}


def _send(interaction: Interaction, draft: Draft) -> None:
    traits = answer_traits(interaction)
    if int(draft.fields.get("flags") or 0) & EPHEMERAL:
        traits["visible_to"] = interaction.user
    message = create_message(interaction.world, interaction.channel, interaction.world.bot, draft, **traits)
    interaction.original = message
    interaction.replies.append(message)


def _think(interaction: Interaction, draft: Draft) -> None:
    world = interaction.world
    message = Message(world.ids.next(), interaction.channel, world.bot, world.clock.now(), **answer_traits(interaction))
    message.flags = LOADING | (int(draft.fields.get("flags") or 0) & EPHEMERAL)
    message.visible_to = interaction.user if message.is_ephemeral else None
    interaction.original = message
    interaction.replies.append(message)
    publish(world, message)


def _defer_update(interaction: Interaction, draft: Draft) -> None:
    interaction.original = interaction.message_pressed


def _update(interaction: Interaction, draft: Draft) -> None:
    assert interaction.message_pressed is not None
    interaction.original = edit_message(interaction.world, interaction.message_pressed, draft)
    interaction.edited_pressed_message = True


def _suggest(interaction: Interaction, draft: Draft) -> None:
    interaction.choices = list(draft.fields.get("choices") or [])


def _show_modal(interaction: Interaction, draft: Draft) -> None:
    fields: Any = draft.fields
    check(list(modal_faults(fields)))
    interaction.modal = Modal(interaction, fields["custom_id"], fields["title"], fields["components"])


_ANSWERS: dict[int, Callable[[Interaction, Draft], None]] = {
    MESSAGE: _send,
    DEFERRED_MESSAGE: _think,
    DEFERRED_UPDATE: _defer_update,
    UPDATE: _update,
    CHOICES: _suggest,
    MODAL: _show_modal,
}


def _callback_json(interaction: Interaction, kind: int) -> Json:
    told: Json = {"id": str(interaction.id), "type": interaction.kind}
    result: Json = {"interaction": told}
    message = interaction.original
    if message is not None:
        told["response_message_id"] = str(message.id)
        told["response_message_loading"] = message.is_thinking
        told["response_message_ephemeral"] = message.is_ephemeral
        told["channel_id"] = str(interaction.channel.id)
        if interaction.channel.guild:
            told["guild_id"] = str(interaction.channel.guild.id)
        if kind in (MESSAGE, UPDATE):
            result["resource"] = {"type": kind, "message": message_json(message)}
    return result


ROUTES = {"create_interaction_response": create_interaction_response}
