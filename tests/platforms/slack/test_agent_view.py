"""The agent view: titles of threads, prompts, the place that a person has open, and canvases."""

from tests.emulators.slack.messages import SlackMessageState
from tests.emulators.slack.state import SlackThreadState
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.office import Office, create_options
from tests.platforms.slack.test_chat import get_last_prompt, wait_for_answer

PLAN = "# The voyage\n\nThe ship sails at nine."


async def ask_directly(office: Office, words: str) -> SlackThreadState:
    """Ask in Ana's direct messages; return the thread once it is answered."""
    thread = office.ana.direct_channel.get_thread(await office.ana.say(words))
    await wait_for_answer(thread)
    return thread


async def share_canvas(office: Office, words: str) -> SlackMessageState:
    """Write to the bot as Ana with a canvas; return the message."""
    channel = office.ana.direct_channel
    canvas = office.team.add_canvas(office.ana.id, "Voyage", PLAN)
    message = SlackMessageState(channel, office.slack.clock.next_timestamp(), office.ana.id, words, files=[canvas])
    canvas.share(message)
    channel.add_message(message)
    office.slack.event_sender.send_message_posted(message)
    return message


async def test_a_thread_of_the_agent_has_the_question_as_its_title(any_office: Office) -> None:
    question = f"Why, {any_office.otto.mention} &amp; all, is the sky so very blue by day,\nand why is it red at dusk?"
    thread = await ask_directly(any_office, question)
    title = any_office.team.get_session(any_office.ana.direct_channel.id, thread.ts)["title"]

    await any_office.ana.say("and green?", thread=thread)
    await any_office.slack.wait_until_idle()

    assert title == "Why, @Otto & all, is the sky so very blue by day, and why i…"
    assert any_office.team.get_session(any_office.ana.direct_channel.id, thread.ts)["title"] == title


async def test_threads_of_channels_get_no_title(office: Office) -> None:
    message = await office.ana.say(f"{office.team.mention} why?", office.general)
    await wait_for_answer(office.general.get_thread(message))

    assert all("title" not in session for session in office.team.sessions.values())


async def test_an_open_channel_changes_the_prompts(office: Office) -> None:
    office.ana.open_beside(office.general)
    await office.ana.open_app_home()
    await office.slack.wait_for_call("assistant.threads.setSuggestedPrompts")

    titles = [prompt["title"] for prompt in office.team.suggested_prompts]
    assert titles == ["Draw something", "Sum up this channel", "What can you do?", "What do I have left?"]


async def test_prompts_follow_the_open_place_without_a_call_for_each_step(office: Office) -> None:
    await office.ana.open_app_home()
    await office.slack.wait_for_call("assistant.threads.setSuggestedPrompts")
    office.ana.open_beside(office.general)
    await office.slack.wait_for_call("assistant.threads.setSuggestedPrompts", times=2)
    office.ana.open_beside(office.team.add_channel("studio"))
    office.ana.open_beside(office.general)
    await office.slack.wait_until_idle()

    titles = [prompt["title"] for prompt in office.team.suggested_prompts]
    assert titles[1] == "Sum up this channel"
    assert len(office.slack.find_calls("assistant.threads.setSuggestedPrompts")) == 2


async def test_a_question_about_this_channel_reads_the_open_channel(any_office: Office) -> None:
    await any_office.otto.say("The ship is called Argo.", any_office.general)
    any_office.ana.open_beside(any_office.general)

    await ask_directly(any_office, "What was said in this channel lately?")

    prompt = get_last_prompt(any_office)
    assert "latest messages of #general" in prompt
    assert "Otto: The ship is called Argo." in prompt


async def test_a_question_about_this_thread_reads_the_open_thread(office: Office) -> None:
    await office.otto.say("Lunch at noon.", office.general)
    root = await office.otto.say("The ship is called Argo.", office.general)
    await office.ana.say("It sails at nine.", thread=root)
    office.ana.open_beside(office.general, thread=root)

    await ask_directly(office, "Sum up this thread.")

    assert "Otto: The ship is called Argo." in get_last_prompt(office)
    assert "Ana: It sails at nine." in get_last_prompt(office)
    assert "Lunch" not in get_last_prompt(office)


async def test_other_questions_do_not_read_the_open_channel(office: Office) -> None:
    await office.otto.say("The ship is called Argo.", office.general)
    office.ana.open_beside(office.general)

    await ask_directly(office, "Which channel lies between England and France?")

    assert "Argo" not in get_last_prompt(office)
    assert office.slack.find_calls("conversations.history") == []


async def test_an_open_channel_without_the_bot_is_said_to_be_unread(office: Office) -> None:
    office.ana.open_beside(office.team.add_channel("secret", is_private=True, has_bot=False))

    thread = await ask_directly(office, "What was said in this channel?")

    assert "the open channel has no words that I may read: invite me there" in thread.bot_messages[-1].visible_text


async def test_a_place_of_another_workspace_is_not_read(office: Office) -> None:
    await office.otto.say("The ship is called Argo.", office.general)
    office.ana.open_beside(office.general)
    office.ana.viewed = [{**entity, "team_id": "T0ELSEWHERE"} for entity in office.ana.viewed]

    await ask_directly(office, "What was said in this channel?")

    assert "Argo" not in get_last_prompt(office)


async def test_a_shared_canvas_and_the_open_canvas_are_read(office: Office) -> None:
    shared = await share_canvas(office, "When does it sail?")
    await wait_for_answer(office.ana.direct_channel.get_thread(shared))
    from_shared = get_last_prompt(office)
    canvas = office.team.add_canvas(office.otto.id, "Crew", "Castor and Pollux row.")
    canvas.share(await office.otto.say("our crew", office.general))
    office.ana.open_beside(office.general, canvas=canvas.id)

    await ask_directly(office, "Who rows, by this canvas?")

    assert PLAN in from_shared
    assert "Castor and Pollux row." in get_last_prompt(office)


async def test_a_canvas_without_the_scope_is_named_with_the_remedy(open_office: OfficeOpener) -> None:
    office = await open_office(options=create_options(scopes=create_options().scopes - {"canvases:read"}))

    await share_canvas(office, "When does it sail?")

    await office.ana.direct_channel.wait_for_bot_message("I may not read Voyage. Share the canvas with me, or ask an")
    assert office.backend.runs == {}
