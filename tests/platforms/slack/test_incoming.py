"""Words and pictures that are not in a message's text: blocks, attachments, shared messages, earlier pictures."""

from typing import Any

import pytest

from tests.emulators.slack.forms import SlackFileUpload
from tests.emulators.slack.messages import Json, SlackMessageState
from tests.emulators.slack.state import SlackThreadState
from tests.fakes.backend import make_png
from tests.platforms.slack.dialogue import draw_picture
from tests.platforms.slack.office import Office
from tests.platforms.slack.test_chat import get_last_prompt, wait_for_answer

ALERT_BLOCKS: list[Json] = [
    {"type": "header", "text": {"type": "plain_text", "text": "Payments are down & out"}},
    {
        "type": "section",
        "text": {"type": "mrkdwn", "text": "See <https://status.example/12|status.example/12>"},
        "fields": [{"type": "mrkdwn", "text": "*Region* eu-west"}, {"type": "plain_text", "text": "Errors 97 %"}],
    },
    {"type": "context", "elements": [{"type": "mrkdwn", "text": "runbook 12"}]},
    {
        "type": "rich_text",
        "elements": [
            {
                "type": "rich_text_section",
                "elements": [
                    {"type": "text", "text": "Call "},
                    {"type": "link", "url": "tel:5551234", "text": "555-1234"},
                    {"type": "emoji", "name": "fire"},
                ],
            },
            {
                "type": "rich_text_list",
                "style": "bullet",
                "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "check <db>"}]}],
            },
        ],
    },
]
ALERT_WORDS = (
    "Payments are down & out",
    "See status.example/12",
    "*Region* eu-west",
    "Errors 97 %",
    "runbook 12",
    "Call 555-1234:fire:",
    "- check <db>",
)
ATTACHMENT: Json = {
    "pretext": "New incident",
    "author_name": "Web shop",
    "title": "Payments are down",
    "text": "Since 09:12",
    "fields": [{"title": "Region", "value": "eu-west", "short": True}],
    "footer": "runbook 12",
    "fallback": "Payments are down",
}
ATTACHMENT_WORDS = ("New incident", "Web shop", "Payments are down", "Since 09:12", "Region: eu-west", "runbook 12")


def post_alert(office: Office, **parts: Any) -> SlackMessageState:
    """Post a message of another app in #general."""
    ts = office.slack.clock.next_timestamp()
    return office.general.add_message(SlackMessageState(office.general, ts, "U0OTHER", bot_id="B0OTHER", **parts))


async def ask_below(office: Office, message: SlackMessageState, words: str) -> SlackThreadState:
    """Mention the bot as Ana in the thread of a message."""
    await office.ana.say(f"{office.team.mention} {words}", thread=message)
    return office.general.get_thread(message)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"blocks": ALERT_BLOCKS}, ALERT_WORDS),
        ({"blocks": ALERT_BLOCKS, "text": "Payments are down &amp; out"}, ALERT_WORDS),
        ({"blocks": ALERT_BLOCKS, "text": "Look here"}, ("Look here", *ALERT_WORDS)),
        ({"attachments": [ATTACHMENT]}, ATTACHMENT_WORDS),
        ({"attachments": [{"blocks": ALERT_BLOCKS}]}, ALERT_WORDS),
    ],
)
async def test_an_alert_of_an_app_reaches_the_model(
    office: Office, parts: dict[str, Any], words: tuple[str, ...]
) -> None:
    thread = await ask_below(office, post_alert(office, **parts), "what is this?")

    await wait_for_answer(thread)
    prompt = get_last_prompt(office)
    assert [word for word in words if word not in prompt] == []
    assert prompt.count("Payments are down") == 1


async def test_a_shared_message_reaches_the_model_with_its_author(any_office: Office) -> None:
    news = await any_office.otto.say(f"{any_office.ana.mention} saw Rusty &amp; Max.", any_office.general)

    shared = await any_office.ana.share(news, any_office.general, f"{any_office.team.mention} who was seen?")
    await wait_for_answer(any_office.general.get_thread(shared))
    in_channel = get_last_prompt(any_office)
    direct = await any_office.ana.share(news)
    await wait_for_answer(any_office.ana.direct_channel.get_thread(direct))
    in_direct_messages = get_last_prompt(any_office)

    words = "Shared message from Otto: @Ana saw Rusty & Max."
    assert f"who was seen?\n\n{words}" in in_channel
    assert words in in_direct_messages


async def test_a_shared_alert_of_blocks_reaches_the_model(office: Office) -> None:
    shared = await office.ana.share(post_alert(office, blocks=ALERT_BLOCKS), text="")

    await wait_for_answer(office.ana.direct_channel.get_thread(shared))

    assert [word for word in ALERT_WORDS if word not in get_last_prompt(office)] == []


async def test_a_shared_command_is_no_command(office: Office) -> None:
    shared = await office.ana.share(await office.otto.say("imagine a fox --count 2", office.general))

    await wait_for_answer(office.ana.direct_channel.get_thread(shared))

    assert "Shared message from Otto: imagine a fox --count 2" in get_last_prompt(office)


async def test_the_picture_of_a_shared_message_is_captioned(office: Office) -> None:
    hill = await office.otto.say("A hill.", office.general, files=[make_png()])

    shared = await office.ana.share(hill, office.general, f"{office.team.mention} caption")

    await wait_for_answer(office.general.get_thread(shared))
    assert office.backend.last_run.model.task == "caption"


async def test_a_picture_at_the_head_of_a_thread_is_captioned(any_office: Office) -> None:
    head = await any_office.otto.say("A hill.", any_office.general, files=[make_png(colour="red")])
    await any_office.otto.say("What do you think?", thread=head)

    thread = await ask_below(any_office, head, "caption")
    await wait_for_answer(thread)

    assert any_office.backend.last_run.model.task == "caption"


async def test_pictures_of_a_thread_are_seen_from_the_first_question_on(any_office: Office) -> None:
    head = await any_office.otto.say("", any_office.general, files=[make_png(colour="red")])
    thread = await ask_below(any_office, head, "imagine: a fox")
    drawn = await thread.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)

    await ask_below(any_office, head, "compare them")
    answer = await wait_for_answer(thread, after=drawn)
    first = any_office.backend.last_run
    any_office.backend.will(picture=make_png(colour="blue"))
    await ask_below(any_office, head, "imagine: a hen")
    hen = await thread.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels, after=answer)
    await any_office.otto.say("and that?", thread=head)
    await wait_for_answer(thread, after=hen)

    assert "Otto: (a picture without words)" in first.words
    assert len(first.pictures) == 2
    assert len(any_office.backend.last_run.pictures) == 3
    assert "Otto: and that?\n\n(The 3 pictures came earlier in this conversation.)" in get_last_prompt(any_office)


async def test_a_model_that_cannot_see_answers_below_the_description(office: Office) -> None:
    office.backend.will(words=("A red hill.",))
    root = await office.ana.say("look", office.general)

    question = f"{office.team.mention} chat: what is it? --model llama-3-8b"
    await office.ana.say(question, thread=root, files=[make_png()])
    thread = office.general.get_thread(root)
    described = await thread.wait_for_bot_message("A red hill.")
    answer = await wait_for_answer(thread, after=described)

    assert "GPT-5 nano described the pictures" in str(answer.blocks)
    assert "without instructions for you: A red hill.)" in get_last_prompt(office)


async def test_the_head_of_a_long_thread_is_read(office: Office) -> None:
    head = await office.otto.say("A hill called Rusty.", office.general, files=[make_png()])
    for n in range(230):
        ts = office.slack.clock.next_timestamp()
        line = SlackMessageState(office.general, ts, office.otto.id, f"line {n}", thread_ts=head.ts)
        office.general.add_message(line)

    thread = await ask_below(office, head, "what is its name?")
    answer = await wait_for_answer(thread)
    prompt = get_last_prompt(office)
    await ask_below(office, head, "caption")
    await wait_for_answer(thread, after=answer)

    assert "Otto: A hill called Rusty." in prompt
    assert "line 229" in prompt
    assert office.backend.last_run.model.task == "caption"


async def test_the_bots_own_picture_is_captioned_and_enlarged(office: Office) -> None:
    root = await office.ana.say("look at this", office.general)
    thread = await ask_below(office, root, "imagine: a fox")
    picture = await thread.wait_for_bot_message(condition=lambda one: "Again" in one.button_labels)

    await ask_below(office, root, "caption")
    caption = await thread.wait_for_bot_message("A short answer.", after=picture)
    await ask_below(office, root, "upscale --scale 4")
    await thread.wait_for_bot_message(condition=lambda one: one.files and "Delete" in one.button_labels, after=caption)

    assert [run.model.task for run in office.backend.runs.values()] == ["imagine", "caption", "upscale"]


async def test_the_picture_of_an_apps_blocks_is_captioned(office: Office) -> None:
    file = office.team.add_file("U0OTHER", "chart.png", make_png())
    alert = post_alert(office, blocks=[{"type": "image", "slack_file": {"id": file.id}, "alt_text": "A chart"}])
    file.share(alert)

    await wait_for_answer(await ask_below(office, alert, "caption"))

    assert office.backend.last_run.model.task == "caption"


async def test_a_command_without_a_picture_takes_the_last_of_the_channel(any_office: Office) -> None:
    await any_office.otto.say("Old", any_office.general, files=[make_png()])
    await draw_picture(any_office.ana, any_office.general)
    await any_office.otto.say("no picture here", any_office.general)

    await any_office.ana.use_command("/caption", "", any_office.general)
    await any_office.general.wait_for_bot_message("A short answer.")

    assert any_office.backend.last_run.model.task == "caption"


async def test_a_mention_in_a_channel_takes_the_last_picture_of_the_channel(office: Office) -> None:
    await office.otto.say("A hill.", office.general, files=[make_png()])

    question = await office.ana.say(f"{office.team.mention} caption", office.general)

    await wait_for_answer(office.general.get_thread(question))
    assert office.backend.last_run.model.task == "caption"


async def test_a_command_without_any_picture_opens_the_form(office: Office) -> None:
    await office.otto.say("notes", office.general, files=[SlackFileUpload("notes.txt", b"no picture")])

    await office.ana.use_command("/caption", "", office.general)

    assert (await office.ana.wait_for_modal("Caption")).is_open
