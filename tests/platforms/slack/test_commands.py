"""Slash commands, the forms that open where something is missing, and shortcuts."""

from pathlib import Path

from bot.commands import MENU
from bot.platforms.slack.manifest import manifest
from tests.emulators.slack.forms import Upload
from tests.emulators.slack.manifest import options_of
from tests.fakes.backend import png
from tests.platforms.slack.conftest import Opener
from tests.platforms.slack.office import Office, options


async def test_a_command_is_acknowledged_and_answered_in_the_channel(either: Office) -> None:
    delivery = await either.ana.slash("/imagine", "a red fox --seed 7", either.general)

    await delivery.acked()
    picture = await either.general.bot_says("seed 7")
    assert delivery.seconds < 1
    assert picture.thread_ts is None
    assert either.backend.last.inputs["prompt"] == "a red fox"


async def test_an_empty_command_opens_a_form_that_draws(either: Office) -> None:
    await either.ana.slash("/imagine", "", either.general)
    form = await either.ana.modal("Imagine")

    await either.ana.submit(form, {"prompt": "a lighthouse", "count": "2", "aspect": "16:9", "seed": "11"})

    picture = await either.general.bot_says("seed 11")
    assert not form.is_open
    assert len(picture.files) == 2
    assert either.backend.last.inputs["prompt"] == "a lighthouse"


async def test_a_form_says_what_is_wrong_at_the_field(either: Office) -> None:
    await either.ana.slash("/imagine", "", either.general)
    form = await either.ana.modal("Imagine")

    await either.ana.submit(form, {"prompt": "   ", "steps": "20"})

    assert form.is_open
    assert form.errors == {"prompt": "prompt is empty: What should the picture show?"}
    assert either.backend.runs == {}


async def test_what_was_typed_stands_in_the_form(office: Office) -> None:
    await office.ana.slash("/upscale", "--scale 4", office.general)
    form = await office.ana.modal("Upscale")

    await office.ana.submit(form, {"image": Upload("cat.png", png())})

    await office.general.bot_says(holds=lambda one: one.files)
    assert office.backend.last.inputs["scale"] == 4


async def test_a_file_put_into_a_form_is_captioned(office: Office) -> None:
    office.backend.will(words=("A small ", "teal picture."))
    await office.ana.slash("/caption", "", office.general)
    form = await office.ana.modal("Caption")

    await office.ana.submit(form, {"image": Upload("teal.png", png()), "question": "Which colour?"})

    await office.general.bot_says("A small teal picture.", holds=lambda one: one.buttons)


async def test_a_wrong_option_is_told_to_the_asker_alone(either: Office) -> None:
    await either.ana.slash("/imagine", "a fox --count 9", either.general)

    await either.ana.told("count must be from 1 to 4, not 9.")
    assert either.general.messages == []
    assert await either.balance(either.ana) == either.everything


async def test_a_command_that_is_none_names_the_nearest(opened: Opener) -> None:
    office = await opened(options=options(commands=None))  # an older manifest knows other names

    await office.ana.slash("/imagin", "a fox", office.general)

    await office.ana.told("Did you mean imagine?")


async def test_private_answers_are_for_one_person(either: Office) -> None:
    await either.ana.slash("/usage", "", either.general)
    await either.ana.slash("/help", "imagine", either.general)

    await either.ana.told("credits left today")
    await either.ana.told("--prompt")
    assert either.general.messages == []


async def test_a_long_private_answer_comes_in_parts(office: Office) -> None:
    await office.ana.slash("/models", "", office.general)

    told = await office.ana.told("Llama 3 8B")

    assert all(len(block.get("text", "")) <= 12_000 for block in told.blocks)


async def test_a_taken_name_gets_a_prefix(opened: Opener) -> None:
    prefixed = options_of(manifest(MENU, prefix="easel-"))
    office = await opened(options=prefixed, slack_command_prefix="easel-")

    await office.ana.slash("/easel-imagine", "a fox", office.general)

    await office.general.bot_says(holds=lambda one: "Again" in one.buttons)


async def test_a_command_in_the_direct_message_is_answered_there(office: Office) -> None:
    await office.ana.slash("/imagine", "a fox")

    await office.ana.dm.bot_says(holds=lambda one: "Again" in one.buttons)


async def test_a_grant_reaches_who_was_mentioned(office: Office) -> None:
    await office.ana.slash("/imagine", "a fox", office.general)
    await office.general.bot_says(holds=lambda one: "Again" in one.buttons)
    before = await office.balance(office.ana)
    await office.otto.slash("/quota", f"grant {office.ana.escaped} 50", office.general)

    await office.otto.told("50 credits")
    assert await office.balance(office.ana) == before + 50_000


async def test_a_group_without_its_verb_lists_them(office: Office) -> None:
    await office.otto.slash("/quota", "", office.general)

    await office.otto.told("/quota grant")


async def test_a_message_shortcut_captions_a_picture_in_its_thread(either: Office) -> None:
    either.backend.will(words=("Teal.",))
    posted = await either.ana.say("look", either.general, files=[png()])

    await either.otto.shortcut("picture:caption", posted)

    answer = await either.general.thread(posted).bot_says("Teal.", holds=lambda one: one.buttons)
    assert answer.thread_ts == posted.ts


async def test_a_shortcut_that_needs_words_asks_for_them(either: Office) -> None:
    posted = await either.ana.say("look", either.general, files=[png()])

    await either.otto.shortcut("picture:imagine", posted)
    form = await either.otto.modal("Imagine")
    await either.otto.submit(form, {"prompt": "the same at night"})

    await either.general.thread(posted).bot_says(holds=lambda one: one.files)
    assert "image" not in form.fields
    assert str(either.backend.last.inputs["image"]).startswith("data:image/")


async def test_a_shortcut_on_words_says_that_there_is_no_picture(office: Office) -> None:
    posted = await office.ana.say("no picture here", office.general)

    await office.otto.shortcut("picture:upscale", posted)

    await office.otto.told("There is no picture in that message.")


async def test_the_global_shortcut_draws_in_the_direct_message(either: Office) -> None:
    await either.ana.global_shortcut("form:imagine")
    form = await either.ana.modal("Imagine")

    await either.ana.submit(form, {"prompt": "a fox"})

    await either.ana.dm.bot_says(holds=lambda one: "Again" in one.buttons)


async def test_a_form_whose_trigger_expired_says_so(office: Office) -> None:
    office.slack.faults.answer("views.open", "expired_trigger_id")

    await office.ana.slash("/imagine", "", office.general)

    await office.ana.told("could not be opened in time")


async def test_everything_a_form_shows_fits_slack(office: Office, tmp_path: Path) -> None:
    for form in office.app.dispatcher.services.menu:
        declaration = form.declaration
        if any(option.is_required for option in declaration.options):
            word, *verb = declaration.words_of_name
            await office.ana.slash(f"/{word}", " ".join(verb), office.general)
            await office.ana.modal(declaration.name.capitalize()[:24])

    assert office.slack.violations == []


async def test_with_a_prefix_every_name_that_is_told_has_it(opened: Opener) -> None:
    office = await opened(slack_command_prefix="easel-", options=options(commands=None))
    await office.ana.slash("/easel-help", "", office.general)
    told = await office.ana.told()
    assert "/easel-imagine" in told.shown
    assert "/imagine" not in told.shown.replace("/easel-imagine", "")


async def test_between_two_people_it_says_where_else_to_ask(office: Office) -> None:
    between = office.team.channel("directmessage", private=True, bot=False)
    between.id = "D0BETWEEN"
    office.team.channels["D0BETWEEN"] = between

    await office.ana.slash("/imagine", "a fox", between)

    told = await office.ana.told()
    assert "/invite" not in told.shown
