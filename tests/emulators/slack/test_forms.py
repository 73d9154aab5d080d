"""Modals: triggers, forms, errors, pushed and updated views; shortcuts and the Home tab."""

from typing import Any

import pytest

from tests.emulators.slack.client import SlackTestWorkspace, expect_error
from tests.emulators.slack.forms import SlackFileUpload


def plain(text: str) -> dict[str, str]:
    return {"type": "plain_text", "text": text}


def field(label: str, element: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "input", "block_id": label, "label": plain(label), "element": element, **more}


OPTIONS = [{"text": plain(name), "value": name.lower()} for name in ("Square", "Wide")]
FORM = {
    "type": "modal",
    "callback_id": "imagine",
    "title": plain("Imagine"),
    "submit": plain("Draw"),
    "private_metadata": "C1",
    "blocks": [
        field("prompt", {"type": "plain_text_input", "action_id": "prompt", "multiline": True, "max_length": 20}),
        field("aspect", {"type": "static_select", "action_id": "aspect", "options": OPTIONS,
                         "initial_option": OPTIONS[0]}),
        field("count", {"type": "number_input", "action_id": "count", "is_decimal_allowed": False, "min_value": "1",
                        "max_value": "4"}, optional=True),
        field("image", {"type": "file_input", "action_id": "image", "filetypes": ["png"]}, optional=True),
        field("model", {"type": "external_select", "action_id": "model", "min_query_length": 0}, optional=True),
    ],
}  # fmt: skip


def offer_form(workspace: SlackTestWorkspace, form: dict[str, Any] = FORM) -> None:
    """Open the form whenever a person uses /imagine."""

    @workspace.bolt_app.app.command("/imagine")
    async def imagine(ack: Any, body: Any, client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=form)


async def test_a_form_is_filled_in_and_submitted(connected_workspace: SlackTestWorkspace) -> None:
    offer_form(connected_workspace)
    sent: list[Any] = []

    @connected_workspace.bolt_app.app.view("imagine")
    async def take(ack: Any, view: Any) -> None:
        sent.append(view)
        await ack()

    @connected_workspace.bolt_app.app.options("model")
    async def offer(ack: Any, payload: Any) -> None:
        await ack(options=[{"text": plain(f"{payload['value']} schnell"), "value": "schnell"}])

    await connected_workspace.ana.use_command("/imagine")
    view = await connected_workspace.ana.wait_for_modal("Imagine")

    await connected_workspace.ana.submit(
        view,
        {"prompt": "a fox", "aspect": "Wide", "count": 2, "image": SlackFileUpload("x.png", b"x"), "model": "schnell"},
    )

    assert not view.is_open
    values = sent[0]["state"]["values"]
    assert values["prompt"]["prompt"]["value"] == "a fox"
    assert values["aspect"]["aspect"]["selected_option"]["value"] == "wide"
    assert values["count"]["count"]["value"] == "2"
    assert values["image"]["image"]["files"][0]["mimetype"] == "image/png"
    assert values["model"]["model"]["selected_option"]["value"] == "schnell"
    assert sent[0]["private_metadata"] == "C1"
    assert connected_workspace.slack.violations == []


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({}, "is missing"),
        ({"prompt": "x" * 21}, "21 characters"),
        ({"prompt": "a", "aspect": "Round"}, "no 'Round' to choose"),
        ({"prompt": "a", "count": 5}, "not from 1 to 4"),
        ({"prompt": "a", "image": SlackFileUpload("x.gif", b"x")}, "no gif"),
        ({"prompt": "a", "colour": "red"}, "the form has no"),
    ],
)
async def test_a_form_refuses_invalid_input(workspace: SlackTestWorkspace, values: dict[str, Any], why: str) -> None:
    await workspace.bolt_app.connect()
    offer_form(workspace)
    await workspace.ana.use_command("/imagine")
    view = await workspace.ana.wait_for_modal()

    with pytest.raises(AssertionError, match=why):
        await workspace.ana.submit(view, values)


async def test_errors_belong_to_fields_and_other_names_are_violations(
    connected_workspace: SlackTestWorkspace,
) -> None:
    offer_form(connected_workspace)
    errors = [{"prompt": "Not that."}, {"nobody": "Not that."}]

    @connected_workspace.bolt_app.app.view("imagine")
    async def take(ack: Any) -> None:
        await ack(response_action="errors", errors=errors.pop(0))

    await connected_workspace.ana.use_command("/imagine")
    view = await connected_workspace.ana.wait_for_modal()

    await connected_workspace.ana.submit(view, {"prompt": "a"})
    assert (view.is_open, view.errors) == (True, {"prompt": "Not that."})
    assert connected_workspace.slack.violations == []

    await connected_workspace.ana.submit(view)
    assert connected_workspace.slack.violations == ["An error was told for nobody, which is no input block."]


async def test_a_form_is_updated_and_another_pushed(workspace: SlackTestWorkspace) -> None:
    await workspace.bolt_app.connect()
    offer_form(workspace)
    answers: list[Any] = [
        {"response_action": "update", "view": FORM | {"title": plain("Second")}},
        {"response_action": "push", "view": FORM | {"title": plain("Third")}},
        {"response_action": "clear"},
    ]

    @workspace.bolt_app.app.view("imagine")
    async def take(ack: Any) -> None:
        await ack(**answers.pop(0))

    await workspace.ana.use_command("/imagine")
    view = await workspace.ana.wait_for_modal()

    await workspace.ana.submit(view, {"prompt": "a"})
    assert view.title == "Second"
    await workspace.ana.submit(view, {"prompt": "a"})
    third = await workspace.ana.wait_for_modal("Third")
    assert third.below is view
    await workspace.ana.submit(third, {"prompt": "a"})
    assert (third.is_open, view.is_open) == (False, False)


async def test_a_trigger_opens_one_view_within_three_seconds(workspace: SlackTestWorkspace) -> None:
    delivery = await workspace.ana.use_command("/imagine")
    trigger = delivery.payload["trigger_id"]
    late = (await workspace.ana.use_command("/imagine")).payload["trigger_id"]

    await workspace.client.views_open(trigger_id=trigger, view=FORM)

    assert await expect_error(workspace.client.views_open(trigger_id=trigger, view=FORM)) == "exchanged_trigger_id"
    workspace.slack.clock.advance(3.1)
    assert await expect_error(workspace.client.views_open(trigger_id=late, view=FORM)) == "expired_trigger_id"
    assert await expect_error(workspace.client.views_open(trigger_id="1.2.3", view=FORM)) == "invalid_trigger_id"


async def test_a_stale_hash_is_a_conflict(workspace: SlackTestWorkspace) -> None:
    delivery = await workspace.ana.use_command("/imagine")
    opened = await workspace.client.views_open(trigger_id=delivery.payload["trigger_id"], view=FORM)
    view_id, stale = opened["view"]["id"], opened["view"]["hash"]

    await workspace.client.views_update(view_id=view_id, hash=stale, view=FORM | {"title": plain("New")})

    assert await expect_error(workspace.client.views_update(view_id=view_id, hash=stale, view=FORM)) == "hash_conflict"
    assert await expect_error(workspace.client.views_update(view_id="V0", view=FORM)) == "not_found"


@pytest.mark.parametrize(
    "change",
    [
        {"title": plain("x" * 25)},
        {"submit": plain("x" * 25)},
        {"private_metadata": "x" * 3001},
        {"blocks": [{"type": "divider"}] * 101},
        {"colour": "red"},
        {"blocks": [{"type": "markdown", "text": "a"}]},
    ],
)
async def test_a_view_beyond_the_limits_is_refused(workspace: SlackTestWorkspace, change: dict[str, Any]) -> None:
    delivery = await workspace.ana.use_command("/imagine")

    open_it = workspace.client.views_open(trigger_id=delivery.payload["trigger_id"], view=FORM | change)

    assert await expect_error(open_it) == "invalid_arguments"


async def test_shortcuts_arrive_with_and_without_a_message(connected_workspace: SlackTestWorkspace) -> None:
    heard: list[Any] = []

    async def take(ack: Any, body: Any) -> None:
        heard.append(body)
        await ack()

    connected_workspace.bolt_app.app.shortcut("caption")(take)
    connected_workspace.bolt_app.app.shortcut("form")(take)
    said = await connected_workspace.ana.say("look", connected_workspace.general, files=[b"x"])

    await (await connected_workspace.ana.use_message_shortcut("caption", said)).wait_for_acknowledgement()
    await (await connected_workspace.ana.use_global_shortcut("form")).wait_for_acknowledgement()

    assert [body["type"] for body in heard] == ["message_action", "shortcut"]
    assert heard[0]["message"]["files"][0]["id"] == said.files[0].id
    assert "channel" not in heard[1]


async def test_closing_sends_an_event_on_request(workspace: SlackTestWorkspace) -> None:
    await workspace.bolt_app.connect()
    closed: list[str] = []

    @workspace.bolt_app.app.view_closed("imagine")
    async def take(ack: Any, view: Any) -> None:
        closed.append(view["callback_id"])
        await ack()

    offer_form(workspace, FORM | {"notify_on_close": True})
    await workspace.ana.use_command("/imagine")
    view = await workspace.ana.wait_for_modal()

    delivery = await workspace.ana.close_modal(view)

    assert delivery
    await delivery.wait_for_acknowledgement()
    assert closed == ["imagine"]


async def test_a_home_is_published_for_one_person(workspace: SlackTestWorkspace) -> None:
    await workspace.client.views_publish(
        user_id=workspace.ana.id, view={"type": "home", "blocks": [{"type": "divider"}]}
    )

    assert workspace.ana.home
    assert workspace.ana.home.blocks == [{"type": "divider"}]
