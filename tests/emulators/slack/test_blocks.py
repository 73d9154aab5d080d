"""Block Kit's limits are exact to the character."""

from typing import Any

import pytest

from tests.emulators.slack.blocks import validate_blocks
from tests.emulators.slack.emulator import SlackEmulator
from tests.emulators.slack.messages import Json


def plain(text: str) -> Json:
    return {"type": "plain_text", "text": text}


def mrkdwn(text: str) -> Json:
    return {"type": "mrkdwn", "text": text}


def button(**change: Any) -> Json:
    return {"type": "button", "action_id": "go", "text": plain("Go"), **change}


def actions(*elements: Json) -> Json:
    return {"type": "actions", "elements": list(elements)}


def options(count: int, **change: Any) -> list[Json]:
    return [{"text": plain(f"{number}"), "value": f"{number}", **change} for number in range(count)]


def menu(**change: Any) -> Json:
    return {"type": "static_select", "action_id": "menu", "options": options(2), **change}


WITHIN = [
    [actions(*(button(action_id=str(number)) for number in range(25)))],
    [actions(button(text=plain("x" * 75), value="x" * 2000, style="danger"))],
    [actions(menu(options=options(100)))],
    [{"type": "section", "text": mrkdwn("x" * 3000)}],
    [{"type": "header", "text": plain("x" * 150)}],
    [{"type": "context", "elements": [mrkdwn("a")] * 10}],
    [{"type": "image", "image_url": "https://example.org/a.png", "alt_text": "x" * 2000}],
    [{"type": "markdown", "text": "x" * 12_000}],
    [{"type": "divider"}] * 50,
]
BEYOND = [
    ([actions(*(button(action_id=str(number)) for number in range(26)))], "no more than 25 items"),
    ([actions(button(text=plain("x" * 76)))], "less than 76 characters"),
    ([actions(button(value="x" * 2001))], "less than 2001 characters"),
    ([actions(button(action_id="x" * 256))], "less than 256 characters"),
    ([actions(button(), button())], "`action_id` go already exists"),
    ([actions(button(style="happy"))], "primary or danger"),
    ([actions(button(text=mrkdwn("Go")))], "type plain_text"),
    ([actions(button(colour="red"))], "invalid additional property: colour"),
    ([actions(menu(options=options(101)))], "no more than 100 items"),
    ([actions(menu(options=options(1, text=plain("x" * 76))))], "less than 76 characters"),
    ([actions(menu(options=options(1, value="x" * 151)))], "1 to 150 characters"),
    ([actions(menu(initial_option={"text": plain("9"), "value": "9"}))], "none of the options"),
    ([actions()], "missing required field: elements"),
    ([{"type": "section", "text": mrkdwn("x" * 3001)}], "less than 3001 characters"),
    ([{"type": "section", "text": mrkdwn("")}], "more than 0 characters"),
    ([{"type": "section"}], "missing required field: text or fields"),
    ([{"type": "header", "text": plain("x" * 151)}], "less than 151 characters"),
    ([{"type": "context", "elements": [mrkdwn("a")] * 11}], "no more than 10 items"),
    ([{"type": "image", "image_url": "https://example.org/a.png"}], "missing required field: alt_text"),
    ([{"type": "image", "image_url": "https://a.b/c.png", "alt_text": "x" * 2001}], "less than 2001 characters"),
    ([{"type": "image", "slack_file": {"id": "F0"}, "alt_text": "a"}], "invalid slack file"),
    ([{"type": "markdown", "text": "x" * 6001}] * 2, "less than 12001 characters"),
    ([{"type": "divider"}] * 51, "no more than 50 items"),
    ([{"type": "divider", "block_id": "a"}] * 2, "block_id already exists: a"),
    ([{"type": "poem"}], "unsupported type: poem"),
]


@pytest.mark.parametrize("blocks", WITHIN)
def test_blocks_within_the_limits_are_accepted(blocks: list[Json]) -> None:
    assert validate_blocks(blocks, SlackEmulator().add_team(), "message") == []


@pytest.mark.parametrize(("blocks", "fault"), BEYOND)
def test_blocks_beyond_the_limits_are_refused(blocks: list[Json], fault: str) -> None:
    (found,) = validate_blocks(blocks, SlackEmulator().add_team(), "message")

    assert fault in found
