"""Rendering of messages: requesters, rows of buttons, withheld pictures, and notifications."""

from dataclasses import replace

from bot.core.replies import Button, Picture, Reply, ResultFile
from bot.platforms.slack.messages import render_blocks, render_fallback_text
from tests.platforms.slack.office import Office

FOX = Picture("a" * 64, "image/png", 8, 8, "a fox", "fox.png")
SECOND = replace(FOX, n=2)
BUTTONS = (
    Button("again", "Again", "j"),
    Button("vary", "Vary 1", "j", 1),
    Button("upscale", "Upscale 1", "j", 1),
    Button("vary", "Vary 2", "j", 2),
    Button("upscale", "Upscale 2", "j", 2),
    Button("delete", "Delete", "j"),
)


def list_button_rows(reply: Reply) -> list[list[str]]:
    """The labels of each row of buttons."""
    actions = [block["elements"] for block in render_blocks(reply) if block["type"] == "actions"]
    return [[element["text"]["text"] for element in row] for row in actions]


async def test_a_picture_shows_its_requester_and_prompt(office: Office) -> None:
    office.backend.will(hangs_after=0)
    await office.ana.use_command("/imagine", "a red fox", office.general)
    working = await office.general.wait_for_bot_message(condition=lambda one: "Stop" in one.button_labels)

    assert "Ana: /imagine a red fox" in working.visible_text
    await office.slack.wait_for_call("chat.update")
    office.backend.last_run.released.set()
    await working.wait_until(lambda one: "Again" in one.button_labels and "Ana: /imagine a red fox" in one.visible_text)


def test_several_pictures_have_a_row_of_buttons_each() -> None:
    reply = Reply(pictures=(FOX, SECOND), buttons=BUTTONS)

    assert list_button_rows(reply) == [["Vary 1", "Upscale 1"], ["Vary 2", "Upscale 2"], ["Again", "Delete"]]


def test_one_picture_has_one_row() -> None:
    reply = Reply(pictures=(FOX,), buttons=BUTTONS[:3])

    assert list_button_rows(reply) == [["Again", "Vary 1", "Upscale 1"]]


def test_a_withheld_picture_has_no_buttons() -> None:
    reply = Reply(pictures=(FOX, replace(SECOND, is_flagged=True)), buttons=BUTTONS)

    assert list_button_rows(reply) == [["Vary 1", "Upscale 1"], ["Again", "Delete"]]


def test_buttons_follow_their_picture_beside_a_recording() -> None:
    sound = ResultFile("b" * 64, "audio/wav", "fox.wav", 9, n=1, is_flagged=True)
    buttons = tuple(replace(button, n=button.n and button.n + 1) for button in BUTTONS)
    reply = Reply(pictures=(SECOND, replace(FOX, n=3)), result_files=(sound,), buttons=buttons)

    assert list_button_rows(reply) == [["Vary 1", "Upscale 1"], ["Vary 2", "Upscale 2"], ["Again", "Delete"]]


def test_a_notification_shows_bold_words_and_links_as_slack_writes_them() -> None:
    reply = Reply(text="**Ana** <@U123> asked in <#C123> <!channel>")

    assert render_fallback_text(reply, is_for_one=True) == "*Ana* <@U123> asked in <#C123> &lt;!channel&gt;"
    assert "<" not in render_fallback_text(reply)
