"""Forms of buttons: their values, and the jobs of submitted forms."""

from dataclasses import replace

from bot.core.jobs import JobState
from bot.core.people import User
from bot.core.replies import Reply
from bot.dispatch.button_actions import FORM_ACTIONS, ButtonPress
from bot.dispatch.forms import FormDraft
from tests.bench import Bench
from tests.fakes.samples import ANA, CHANNEL

OLA = User("web", "page", "ola", "Ola")


def build_press(action: str, job: str, key: str = "web:form1", by: User = ANA, n: int = 0) -> ButtonPress:
    return ButtonPress(by, CHANNEL, action, job, n, key, "m1")


async def test_edit_prompt_opens_a_form_with_the_options_of_the_job(bench: Bench) -> None:
    await bench.say("/imagine a fox --count 2 --seed 7")
    job = await bench.get_job()

    draft = await bench.app.dispatcher.open_form(build_press("edit", job.id))

    assert isinstance(draft, FormDraft)
    assert draft.declaration.name == "imagine"
    assert (draft.values["prompt"], draft.values["count"], draft.values["seed"]) == ("a fox", 2, 7)


async def test_a_changed_prompt_is_a_new_job_with_the_other_options_kept(bench: Bench) -> None:
    await bench.say("/imagine a fox --aspect 16:9 --seed 7")
    first = await bench.get_job()

    await bench.app.dispatcher.submit_form(build_press("edit", first.id), {"prompt": "a hen", "seed": ""})
    await bench.wait_until_idle()

    second = await bench.get_job()
    assert (second.options["prompt"], second.options["aspect"], second.parent_job) == ("a hen", "16:9", first.id)
    assert second.options["seed"] is None


async def test_a_form_sent_twice_is_one_job_and_two_edits_are_two(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    job = (await bench.get_job()).id

    for key, words in (("web:a", "a hen"), ("web:a", "a hen"), ("web:b", "a cow")):
        await bench.app.dispatcher.submit_form(build_press("edit", job, key), {"prompt": words})
    await bench.wait_until_idle()

    assert len(bench.backend.runs) == 3


async def test_remix_starts_from_the_picture(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    picture = bench.last_message.reply.pictures[0].sha256

    draft = await bench.app.dispatcher.open_form(build_press("remix", job.id, n=1))
    await bench.app.dispatcher.submit_form(build_press("remix", job.id, n=1), {"prompt": "in the rain"})
    await bench.wait_until_idle()

    remixed = await bench.get_job()
    assert isinstance(draft, FormDraft)
    assert (draft.values, draft.option_names[0]) == ({}, "prompt")
    image = remixed.options["image"]
    assert isinstance(image, dict)
    assert image["sha256"] == picture


async def test_ask_more_follows_the_answer(bench: Bench) -> None:
    await bench.say("/chat hello")
    job = await bench.get_job()

    await bench.app.dispatcher.submit_form(build_press("ask", job.id), {"message": "and then?"})
    await bench.wait_until_idle()

    assert "A short answer." in str(bench.backend.last_run.inputs["messages"])
    assert (await bench.get_job()).conversation == job.conversation


async def test_a_form_of_an_unknown_job_is_refused(bench: Bench) -> None:
    refused = await bench.app.dispatcher.open_form(build_press("edit", "nothing"))
    sent = await bench.app.dispatcher.submit_form(build_press("edit", "nothing"), {"prompt": "x"})

    assert isinstance(refused, Reply)
    assert sent is not None
    assert refused.text == sent.text == "That job is not here any more, so its buttons do nothing."


async def test_a_forged_action_opens_and_submits_no_form(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    job = (await bench.get_job()).id

    refused = await bench.app.dispatcher.open_form(build_press("rob", job))
    sent = await bench.app.dispatcher.submit_form(build_press("rob", job), {"prompt": "x"})

    assert isinstance(refused, Reply)
    assert sent is not None
    assert "older version" in refused.text
    assert "older version" in sent.text
    assert "rob" not in FORM_ACTIONS


async def test_a_report_reaches_the_owner_and_offers_to_take_the_result_down(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    message, job = bench.last_message, await bench.get_job()
    owner = User("web", "page", "owner", "Owner")

    thanks = await bench.press("report", on=message, by=OLA)
    notice = bench.last_message
    shown = await bench.press("show", on=notice, by=owner, channel=notice.destination.channel)
    await bench.press("delete", on=notice, by=owner, channel=notice.destination.channel)

    assert thanks is not None
    assert thanks.text == "Thank you. The moderators have been told."
    assert notice.destination.channel.id == "direct-owner"
    assert notice.text == "Ola reported what /imagine made for Ana: “a fox”"
    assert shown is not None
    assert shown.is_private
    assert len(shown.pictures) == 1
    assert message.ref.id not in bench.platform.messages
    assert (await bench.get_job(job.id)).state is JobState.DELIVERED


async def test_the_starter_of_a_conversation_may_stop_an_answer(bench: Bench) -> None:
    await bench.say("/chat hello", by=ANA)
    bench.backend.will(hangs_after=1)
    await bench.say("/chat tell me more", by=OLA)

    await bench.press("cancel", by=ANA)
    await bench.wait_until_idle()

    assert (await bench.get_job()).state is JobState.CANCELLED


async def test_another_user_may_not_stop_a_job_and_a_moderator_may(bench: Bench) -> None:
    bench.backend.will(hangs_after=1)
    await bench.say("/chat hello", by=ANA)

    refused = await bench.press("cancel", by=OLA)
    await bench.press("cancel", by=replace(OLA, is_administrator=True))
    await bench.wait_until_idle()

    assert refused is not None
    assert refused.text == "Only the person who asked, or a moderator, can stop this."
    assert (await bench.get_job()).state is JobState.CANCELLED
