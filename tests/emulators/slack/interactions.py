"""Sends interactions to the app (buttons, menus, shortcuts, forms) and applies the app's response."""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.emulators.slack.delivery import INTERACTIVE, SlackDelivery
from tests.emulators.slack.elements import validate_option
from tests.emulators.slack.forms import fill_form, find_option, get_block_id, list_field_names, list_fields
from tests.emulators.slack.messages import Json, SlackMessageState
from tests.emulators.slack.request_log import SlackErrorResponse
from tests.emulators.slack.views import SlackViewState

if TYPE_CHECKING:
    from tests.emulators.slack.people import SlackPerson
    from tests.emulators.slack.state import SlackChannelState


_LONG_TIMEOUT_SECONDS = 3600.0


def perform_action(
    person: "SlackPerson", container: SlackMessageState | SlackViewState, label: str, value: Any
) -> SlackDelivery:
    """Press a button, or choose the option `value`."""
    block, element = _find_element(container, label)
    action: Json = {name: element[name] for name in ("action_id", "type", "value", "text") if name in element}
    block_id = (
        get_block_id(container, block) if isinstance(container, SlackViewState) else block.get("block_id") or "block"
    )
    action |= {"block_id": block_id, "action_ts": person.team.slack.clock.next_timestamp()}
    if value is not None:
        action["selected_option"] = find_option(element, value)
    payload = _build_payload(person, "block_actions") | {"actions": [action]}
    if isinstance(container, SlackViewState):
        assert container.is_open, "this view is closed"
        container.typed_values |= {element["action_id"]: value} if value is not None else {}
        payload |= {
            "container": {"type": "view", "view_id": container.id},
            "view": container.to_json(_build_partial_state(container)),
        }
    else:
        payload |= _build_message_fields(person, container)
    return _send_interaction(person, payload)


async def fetch_suggestions(
    person: "SlackPerson", container: SlackMessageState | SlackViewState, label: str, typed: str
) -> list[Json]:
    block, element = _find_element(container, label)
    assert element["type"] == "external_select", f"{label} asks nobody"
    payload = _build_payload(person, "block_suggestion")
    payload |= {"action_id": element["action_id"], "block_id": block.get("block_id", "block"), "value": typed}
    if isinstance(container, SlackViewState):
        payload |= {
            "container": {"type": "view", "view_id": container.id},
            "view": container.to_json(_build_partial_state(container)),
        }
    else:
        payload |= _build_message_fields(person, container)
    delivery = await _send_interaction(person, payload).wait_for_acknowledgement(_LONG_TIMEOUT_SECONDS)
    options: list[Json] = (delivery.response or {}).get("options", [])
    violations = [
        violation
        for number, option in enumerate(options)
        for violation in validate_option(option, f"/options/{number}")
    ]
    if len(options) > 100:
        violations.append("no more than 100 items allowed [json-pointer:/options]")
    for violation in violations:
        person.team.slack.request_log.record_violation(f"The options of {label}: {violation}.")
    return options


def use_message_shortcut(person: "SlackPerson", callback_id: str, message: SlackMessageState) -> SlackDelivery:
    payload = _build_payload(person, "message_action")
    message_fields = {
        name: value
        for name, value in _build_message_fields(person, message).items()
        if name not in ("container", "state")
    }
    assert person.team.slack.options.has_shortcut(callback_id), f"the app has no shortcut {callback_id}"
    stamps = {"action_ts": person.team.slack.clock.next_timestamp(), "message_ts": message.ts}
    return _send_interaction(person, payload | message_fields | stamps | {"callback_id": callback_id})


def use_global_shortcut(person: "SlackPerson", callback_id: str) -> SlackDelivery:
    stamp = {"action_ts": person.team.slack.clock.next_timestamp()}
    assert person.team.slack.options.has_shortcut(callback_id), f"the app has no shortcut {callback_id}"
    return _send_interaction(person, _build_payload(person, "shortcut") | stamp | {"callback_id": callback_id})


async def submit_view(person: "SlackPerson", view: SlackViewState, values: Mapping[str, Any]) -> SlackDelivery:
    assert view.is_open, "this view is closed"
    given = dict(values)
    for block, element in list_fields(view):
        for name in list_field_names(block, element) & given.keys():
            if element["type"] == "external_select" and isinstance(given[name], str):
                offered = await fetch_suggestions(person, view, element["action_id"], given[name])
                given[name] = find_option({"options": offered}, given[name])
    state = fill_form(view, given)
    view.typed_values |= {element["action_id"]: given[name] for block, element in list_fields(view)
                   for name in list_field_names(block, element) & given.keys()}  # fmt: skip
    view.errors = {}
    payload = _build_payload(person, "view_submission")
    payload |= {"view": view.to_json(state), "response_urls": _issue_response_urls(person, view, state)}
    delivery = await _send_interaction(person, payload).wait_until_finished(_LONG_TIMEOUT_SECONDS)
    if delivery.is_acknowledged:
        _apply_form_response(view, delivery.response or {})
    return delivery


def close_view(person: "SlackPerson", view: SlackViewState) -> SlackDelivery | None:
    assert view.is_open, "this view is closed"
    view_json = view.to_json()
    person.team.slack.views.close(view)
    if not view.definition.get("notify_on_close"):
        return None
    return _send_interaction(person, _build_payload(person, "view_closed") | {"view": view_json, "is_cleared": False})


def stop_stream(person: "SlackPerson", message: SlackMessageState) -> SlackDelivery | None:
    """Press Stop on a streamed message. Slack shows Stop only while the thread's session is `processing`, and only for
    apps subscribed to the event.
    """
    channel, team = message.channel, person.team
    session = team.sessions.get((channel.id, message.thread_ts or message.ts), {})
    assert "agent_session_stopped" in team.slack.options.events, "the app does not want to hear of Stop"
    assert message.stream, "this message has no stream"
    assert message.is_streaming, "this stream is over"
    assert session.get("status") == "processing", f"Slack shows no Stop: the session is {session or 'not there'}"
    message.stream.end_reason = "stopped_by_user"
    message.record_version(team.slack.clock.now())
    event: Json = {"type": "agent_session_stopped", "channel": channel.id, "thread_ts": message.thread_ts}
    return team.slack.event_sender.send(team, event | {"user": person.id, "streaming_message_ts": [message.ts]})


async def show_command_result(person: "SlackPerson", delivery: SlackDelivery, channel: "SlackChannelState") -> None:
    await show_interaction_result(person, delivery)
    if delivery.is_acknowledged and delivery.response:
        person.team.slack.response_urls.apply_acknowledgement(person, channel, delivery.response)


async def show_interaction_result(person: "SlackPerson", delivery: SlackDelivery) -> None:
    await delivery.wait_until_finished(_LONG_TIMEOUT_SECONDS)
    if not delivery.is_acknowledged:
        error = "operation_timeout" if delivery.attempts[-1].failure_reason == "timeout" else "dispatch_failed"
        person.notices.append(f'{delivery.label} failed with the error "{error}"')
        person.team.slack.changes.notify()


def _build_payload(person: "SlackPerson", kind: str) -> Json:
    team, name = person.team, person.name.lower()
    return {
        "type": kind,
        "user": {"id": person.id, "username": name, "name": name, "team_id": team.id},
        "api_app_id": team.slack.app_id,
        "token": "verification-token",
        "trigger_id": team.slack.triggers.issue(person),
        "team": {"id": team.id, "domain": team.domain},
        "enterprise": None,
        "is_enterprise_install": False,
    }


def _build_message_fields(person: "SlackPerson", message: SlackMessageState) -> Json:
    assert not message.is_deleted, "this message is gone"
    channel = message.channel
    container: Json = {"type": "message", "message_ts": message.ts, "channel_id": channel.id}
    container |= {"is_ephemeral": message.visible_to_user_id is not None, "is_app_unfurl": False}
    container |= {"thread_ts": message.thread_ts} if message.thread_ts else {}
    fields: Json = {
        "container": container,
        "channel": {"id": channel.id, "name": channel.name},
        "response_url": person.team.slack.response_urls.issue(person, channel, message),
        "state": {"values": {}},
    }
    if not message.visible_to_user_id:
        fields["message"] = copy.deepcopy(message.to_json())
    return fields


def _send_interaction(person: "SlackPerson", payload: Json) -> SlackDelivery:
    slack = person.team.slack
    delivery = slack.delivery_service.send(INTERACTIVE, payload)
    slack.delivery_service.spawn(show_interaction_result(person, delivery))
    return delivery


def _find_element(container: SlackMessageState | SlackViewState, name: str) -> tuple[Json, Json]:
    for block in container.blocks:
        elements = block.get("elements", []) if block["type"] in ("actions", "context_actions") else []
        for element in (*elements, block.get("accessory"), block.get("element")):
            for half in ("positive_button", "negative_button"):
                if element and name == element.get(half, {}).get("text", {}).get("text"):
                    return block, {"type": element["type"], "action_id": element["action_id"], **element[half]}
            label = element.get("text", {}).get("text", "") if element else ""
            if element and name in (label, *list_field_names(block, element)):
                return block, element
    labels = [
        element.get("text", {}).get("text") for block in container.blocks for element in block.get("elements", [])
    ]
    raise AssertionError(f"there is no {name!r}, only {labels}")


def _build_partial_state(view: SlackViewState) -> Json:
    """Return the state of an unfinished form, without invalid fields."""
    state: Json = {}
    for block, element in list_fields(view):
        if element["action_id"] in view.typed_values and element["type"] != "file_input":
            kind, value = element["type"], view.typed_values[element["action_id"]]
            field_state = (
                {"selected_option": find_option(element, value)} if "select" in kind else {"value": str(value)}
            )
            state.setdefault(get_block_id(view, block), {})[element["action_id"]] = {"type": kind, **field_state}
    return state


def _issue_response_urls(person: "SlackPerson", view: SlackViewState, state: Json) -> list[Json]:
    """Return response URLs for the conversation menus with `response_url_enabled`."""
    urls: list[Json] = []
    for block, element in list_fields(view):
        channel_id = state[get_block_id(view, block)][element["action_id"]].get("selected_conversation")
        if channel_id and element.get("response_url_enabled"):
            url = person.team.slack.response_urls.issue(person, person.team.channels[channel_id])
            ids = {"block_id": get_block_id(view, block), "action_id": element["action_id"]}
            urls.append({**ids, "channel_id": channel_id, "response_url": url})
    return urls


def _apply_form_response(view: SlackViewState, response: Json) -> None:
    """Apply the app's acknowledgement to the modal."""
    views, action = view.person.team.slack.views, response.get("response_action")
    try:
        if action == "errors":
            _show_errors(view, response.get("errors") or {})
        elif action == "update":
            views.update(view, response["view"])
        elif action == "push":
            views.push(view.person, response["view"])
        elif action == "clear":
            views.close_all(view.person)
        elif view.is_open:
            views.close(view)
    except SlackErrorResponse as refusal:
        view.person.team.slack.request_log.record_violation(
            f"A form's answer was refused: {refusal.error} {refusal.fields}."
        )


def _show_errors(view: SlackViewState, errors: dict[str, str]) -> None:
    inputs = {get_block_id(view, block) for block in view.blocks if block["type"] == "input"}
    for name in errors.keys() - inputs:
        view.person.team.slack.request_log.record_violation(f"An error was told for {name}, which is no input block.")
    if not errors:
        view.person.team.slack.request_log.record_violation("A form was refused without any errors.")
    view.errors = errors
