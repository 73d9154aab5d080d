"""How presses, choices, shortcuts and forms are told to the app, and what its answer does to what people see."""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tests.emulators.slack.delivery import INTERACTIVE, Delivery
from tests.emulators.slack.elements import option_faults
from tests.emulators.slack.forms import block_id, chosen, fields_of, filled, names_of
from tests.emulators.slack.journal import Refused
from tests.emulators.slack.messages import Json, Message
from tests.emulators.slack.views import View

if TYPE_CHECKING:
    from tests.emulators.slack.people import Person
    from tests.emulators.slack.workspace import Channel

_FOREVER = 3600.0


def act(person: "Person", where: Message | View, which: str, what: Any) -> Delivery:
    """A button pressed, or (`what`) an option chosen."""
    block, element = _find(where, which)
    action: Json = {name: element[name] for name in ("action_id", "type", "value", "text") if name in element}
    place = block_id(where, block) if isinstance(where, View) else block.get("block_id") or "block"
    action |= {"block_id": place, "action_ts": person.team.slack.clock.stamp()}
    if what is not None:
        action["selected_option"] = chosen(element, what)
    payload = _interaction(person, "block_actions") | {"actions": [action]}
    if isinstance(where, View):
        assert where.is_open, "this view is closed"
        where.typed |= {element["action_id"]: what} if what is not None else {}
        payload |= {"container": {"type": "view", "view_id": where.id}, "view": where.as_json(_so_far(where))}
    else:
        payload |= _of_message(person, where)
    return _interact(person, payload)


async def suggestions(person: "Person", where: Message | View, which: str, typed: str) -> list[Json]:
    block, element = _find(where, which)
    assert element["type"] == "external_select", f"{which} asks nobody"
    payload = _interaction(person, "block_suggestion")
    payload |= {"action_id": element["action_id"], "block_id": block.get("block_id", "block"), "value": typed}
    if isinstance(where, View):
        payload |= {"container": {"type": "view", "view_id": where.id}, "view": where.as_json(_so_far(where))}
    else:
        payload |= _of_message(person, where)
    delivery = await _interact(person, payload).acked(_FOREVER)
    options: list[Json] = (delivery.response or {}).get("options", [])
    faults = [fault for number, option in enumerate(options) for fault in option_faults(option, f"/options/{number}")]
    if len(options) > 100:
        faults.append("no more than 100 items allowed [json-pointer:/options]")
    for fault in faults:
        person.team.slack.journal.violated(f"The options of {which}: {fault}.")
    return options


def message_shortcut(person: "Person", callback_id: str, message: Message) -> Delivery:
    payload = _interaction(person, "message_action")
    place = {name: told for name, told in _of_message(person, message).items() if name not in ("container", "state")}
    assert person.team.slack.options.has_shortcut(callback_id), f"the app has no shortcut {callback_id}"
    stamps = {"action_ts": person.team.slack.clock.stamp(), "message_ts": message.ts}
    return _interact(person, payload | place | stamps | {"callback_id": callback_id})


def global_shortcut(person: "Person", callback_id: str) -> Delivery:
    stamp = {"action_ts": person.team.slack.clock.stamp()}
    assert person.team.slack.options.has_shortcut(callback_id), f"the app has no shortcut {callback_id}"
    return _interact(person, _interaction(person, "shortcut") | stamp | {"callback_id": callback_id})


async def submit(person: "Person", view: View, values: Mapping[str, Any]) -> Delivery:
    assert view.is_open, "this view is closed"
    given = dict(values)
    for block, element in fields_of(view):
        for name in names_of(block, element) & given.keys():
            if element["type"] == "external_select" and isinstance(given[name], str):
                offered = await suggestions(person, view, element["action_id"], given[name])
                given[name] = chosen({"options": offered}, given[name])
    state = filled(view, given)
    view.typed |= {element["action_id"]: given[name] for block, element in fields_of(view)
                   for name in names_of(block, element) & given.keys()}  # fmt: skip
    view.errors = {}
    payload = _interaction(person, "view_submission")
    payload |= {"view": view.as_json(state), "response_urls": _response_urls(person, view, state)}
    delivery = await _interact(person, payload).over(_FOREVER)
    if delivery.is_acked:
        _answer_form(view, delivery.response or {})
    return delivery


def close(person: "Person", view: View) -> Delivery | None:
    assert view.is_open, "this view is closed"
    told = view.as_json()
    person.team.slack.views.close(view)
    if not view.definition.get("notify_on_close"):
        return None
    return _interact(person, _interaction(person, "view_closed") | {"view": told, "is_cleared": False})


def stop(person: "Person", message: Message) -> Delivery | None:
    """Slack shows its Stop while the thread's session is `processing`, to apps that are subscribed to its event."""
    channel, team = message.channel, person.team
    session = team.sessions.get((channel.id, message.thread_ts or message.ts), {})
    assert "agent_session_stopped" in team.slack.options.events, "the app does not want to hear of Stop"
    assert message.stream, "this message has no stream"
    assert message.is_streaming, "this stream is over"
    assert session.get("status") == "processing", f"Slack shows no Stop: the session is {session or 'not there'}"
    message.stream.ended = "stopped_by_user"
    message.keep(team.slack.clock.now())
    event: Json = {"type": "agent_session_stopped", "channel": channel.id, "thread_ts": message.thread_ts}
    return team.slack.events.send(team, event | {"user": person.id, "streaming_message_ts": [message.ts]})


async def see_command(person: "Person", delivery: Delivery, channel: "Channel") -> None:
    await see_interaction(person, delivery)
    if delivery.is_acked and delivery.response:
        person.team.slack.response_urls.put_acknowledgement(person, channel, delivery.response)


async def see_interaction(person: "Person", delivery: Delivery) -> None:
    await delivery.over(_FOREVER)
    if not delivery.is_acked:
        error = "operation_timeout" if delivery.answers[-1].reason == "timeout" else "dispatch_failed"
        person.notices.append(f'{delivery.label} failed with the error "{error}"')
        person.team.slack.changes.happened()


def _interaction(person: "Person", kind: str) -> Json:
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


def _of_message(person: "Person", message: Message) -> Json:
    assert not message.is_deleted, "this message is gone"
    channel = message.channel
    container: Json = {"type": "message", "message_ts": message.ts, "channel_id": channel.id}
    container |= {"is_ephemeral": message.only_for is not None, "is_app_unfurl": False}
    container |= {"thread_ts": message.thread_ts} if message.thread_ts else {}
    told: Json = {
        "container": container,
        "channel": {"id": channel.id, "name": channel.name},
        "response_url": person.team.slack.response_urls.issue(person, channel, message),
        "state": {"values": {}},
    }
    if not message.only_for:
        told["message"] = copy.deepcopy(message.as_json())
    return told


def _interact(person: "Person", payload: Json) -> Delivery:
    slack = person.team.slack
    delivery = slack.post_office.send(INTERACTIVE, payload)
    slack.post_office.spawn(see_interaction(person, delivery))
    return delivery


def _find(where: Message | View, which: str) -> tuple[Json, Json]:
    for block in where.blocks:
        elements = block.get("elements", []) if block["type"] in ("actions", "context_actions") else []
        for element in (*elements, block.get("accessory"), block.get("element")):
            label = element.get("text", {}).get("text", "") if element else ""
            if element and which in (label, *names_of(block, element)):
                return block, element
    labels = [element.get("text", {}).get("text") for block in where.blocks for element in block.get("elements", [])]
    raise AssertionError(f"there is no {which!r}, only {labels}")


def _so_far(view: View) -> Json:
    """The state while the form is being filled in: fields that are not yet right are left out."""
    state: Json = {}
    for block, element in fields_of(view):
        if element["action_id"] in view.typed and element["type"] != "file_input":
            kind, what = element["type"], view.typed[element["action_id"]]
            told = {"selected_option": chosen(element, what)} if "select" in kind else {"value": str(what)}
            state.setdefault(block_id(view, block), {})[element["action_id"]] = {"type": kind, **told}
    return state


def _response_urls(person: "Person", view: View, state: Json) -> list[Json]:
    """For menus of conversations that ask for one."""
    urls: list[Json] = []
    for block, element in fields_of(view):
        place = state[block_id(view, block)][element["action_id"]].get("selected_conversation")
        if place and element.get("response_url_enabled"):
            url = person.team.slack.response_urls.issue(person, person.team.channels[place])
            ids = {"block_id": block_id(view, block), "action_id": element["action_id"]}
            urls.append({**ids, "channel_id": place, "response_url": url})
    return urls


def _answer_form(view: View, told: Json) -> None:
    """What the app's acknowledgement does to the modal."""
    views, action = view.person.team.slack.views, told.get("response_action")
    try:
        if action == "errors":
            _show_errors(view, told.get("errors") or {})
        elif action == "update":
            views.update(view, told["view"])
        elif action == "push":
            views.push(view.person, told["view"])
        elif action == "clear":
            views.close_all(view.person)
        elif view.is_open:
            views.close(view)
    except Refused as refusal:
        view.person.team.slack.journal.violated(f"A form's answer was refused: {refusal.error} {refusal.more}.")


def _show_errors(view: View, errors: dict[str, str]) -> None:
    inputs = {block_id(view, block) for block in view.blocks if block["type"] == "input"}
    for name in errors.keys() - inputs:
        view.person.team.slack.journal.violated(f"An error was told for {name}, which is no input block.")
    if not errors:
        view.person.team.slack.journal.violated("A form was refused without any errors.")
    view.errors = errors
