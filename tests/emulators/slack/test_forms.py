"""Modals: triggers, forms, errors, what is pushed and updated; shortcuts and the Home tab."""

from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from tests.emulators.slack.client import SlackTestWorkspace
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


async def refused(call: Any) -> str:
    with pytest.raises(SlackApiError) as error:
        await call
    return str(error.value.response["error"])


def opens(place: SlackTestWorkspace, form: dict[str, Any] = FORM) -> None:
    """The app opens the form when it is asked to."""

    @place.bolt_app.app.command("/imagine")
    async def imagine(ack: Any, body: Any, client: Any) -> None:
        await ack()
        await client.views_open(trigger_id=body["trigger_id"], view=form)


async def test_a_form_is_filled_in_and_sent(wired: SlackTestWorkspace) -> None:
    opens(wired)
    sent: list[Any] = []

    @wired.bolt_app.app.view("imagine")
    async def take(ack: Any, view: Any) -> None:
        sent.append(view)
        await ack()

    @wired.bolt_app.app.options("model")
    async def offer(ack: Any, payload: Any) -> None:
        await ack(options=[{"text": plain(f"{payload['value']} schnell"), "value": "schnell"}])

    await wired.ana.use_command("/imagine")
    view = await wired.ana.wait_for_modal("Imagine")

    await wired.ana.submit(
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
    assert wired.slack.violations == []


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
async def test_the_form_does_not_let_people_through(
    place: SlackTestWorkspace, values: dict[str, Any], why: str
) -> None:
    await place.bolt_app.connect()
    opens(place)
    await place.ana.use_command("/imagine")
    view = await place.ana.wait_for_modal()

    with pytest.raises(AssertionError, match=why):
        await place.ana.submit(view, values)


async def test_errors_stand_at_their_fields_and_other_names_are_violations(wired: SlackTestWorkspace) -> None:
    opens(wired)
    errors = [{"prompt": "Not that."}, {"nobody": "Not that."}]

    @wired.bolt_app.app.view("imagine")
    async def take(ack: Any) -> None:
        await ack(response_action="errors", errors=errors.pop(0))

    await wired.ana.use_command("/imagine")
    view = await wired.ana.wait_for_modal()

    await wired.ana.submit(view, {"prompt": "a"})
    assert (view.is_open, view.errors) == (True, {"prompt": "Not that."})
    assert wired.slack.violations == []

    await wired.ana.submit(view)
    assert wired.slack.violations == ["An error was told for nobody, which is no input block."]


async def test_a_form_is_updated_and_another_pushed(place: SlackTestWorkspace) -> None:
    await place.bolt_app.connect()
    opens(place)
    answers: list[Any] = [
        {"response_action": "update", "view": FORM | {"title": plain("Second")}},
        {"response_action": "push", "view": FORM | {"title": plain("Third")}},
        {"response_action": "clear"},
    ]

    @place.bolt_app.app.view("imagine")
    async def take(ack: Any) -> None:
        await ack(**answers.pop(0))

    await place.ana.use_command("/imagine")
    view = await place.ana.wait_for_modal()

    await place.ana.submit(view, {"prompt": "a"})
    assert view.title == "Second"
    await place.ana.submit(view, {"prompt": "a"})
    third = await place.ana.wait_for_modal("Third")
    assert third.below is view
    await place.ana.submit(third, {"prompt": "a"})
    assert (third.is_open, view.is_open) == (False, False)


async def test_a_trigger_opens_one_view_within_three_seconds(place: SlackTestWorkspace) -> None:
    delivery = await place.ana.use_command("/imagine")
    trigger = delivery.payload["trigger_id"]
    late = (await place.ana.use_command("/imagine")).payload["trigger_id"]

    await place.client.views_open(trigger_id=trigger, view=FORM)

    assert await refused(place.client.views_open(trigger_id=trigger, view=FORM)) == "exchanged_trigger_id"
    place.slack.clock.advance(3.1)
    assert await refused(place.client.views_open(trigger_id=late, view=FORM)) == "expired_trigger_id"
    assert await refused(place.client.views_open(trigger_id="1.2.3", view=FORM)) == "invalid_trigger_id"


async def test_a_stale_hash_is_a_conflict(place: SlackTestWorkspace) -> None:
    delivery = await place.ana.use_command("/imagine")
    opened = await place.client.views_open(trigger_id=delivery.payload["trigger_id"], view=FORM)
    view_id, stale = opened["view"]["id"], opened["view"]["hash"]

    await place.client.views_update(view_id=view_id, hash=stale, view=FORM | {"title": plain("New")})

    assert await refused(place.client.views_update(view_id=view_id, hash=stale, view=FORM)) == "hash_conflict"
    assert await refused(place.client.views_update(view_id="V0", view=FORM)) == "not_found"


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
async def test_a_view_beyond_the_limits_is_refused(place: SlackTestWorkspace, change: dict[str, Any]) -> None:
    delivery = await place.ana.use_command("/imagine")

    open_it = place.client.views_open(trigger_id=delivery.payload["trigger_id"], view=FORM | change)

    assert await refused(open_it) == "invalid_arguments"


async def test_shortcuts_arrive_with_and_without_a_message(wired: SlackTestWorkspace) -> None:
    heard: list[Any] = []

    async def take(ack: Any, body: Any) -> None:
        heard.append(body)
        await ack()

    wired.bolt_app.app.shortcut("caption")(take)
    wired.bolt_app.app.shortcut("form")(take)
    said = await wired.ana.say("look", wired.general, files=[b"x"])

    await (await wired.ana.use_message_shortcut("caption", said)).wait_for_acknowledgement()
    await (await wired.ana.use_global_shortcut("form")).wait_for_acknowledgement()

    assert [body["type"] for body in heard] == ["message_action", "shortcut"]
    assert heard[0]["message"]["files"][0]["id"] == said.files[0].id
    assert "channel" not in heard[1]


async def test_closing_is_told_when_asked_for(place: SlackTestWorkspace) -> None:
    await place.bolt_app.connect()
    closed: list[str] = []

    @place.bolt_app.app.view_closed("imagine")
    async def take(ack: Any, view: Any) -> None:
        closed.append(view["callback_id"])
        await ack()

    opens(place, FORM | {"notify_on_close": True})
    await place.ana.use_command("/imagine")
    view = await place.ana.wait_for_modal()

    delivery = await place.ana.close_modal(view)

    assert delivery
    await delivery.wait_for_acknowledgement()
    assert closed == ["imagine"]


async def test_a_home_is_published_for_one_person(place: SlackTestWorkspace) -> None:
    await place.client.views_publish(user_id=place.ana.id, view={"type": "home", "blocks": [{"type": "divider"}]})

    assert place.ana.home
    assert place.ana.home.blocks == [{"type": "divider"}]
