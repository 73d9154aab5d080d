"""`/run`: any model with its own inputs, the price first, models without an approval by request."""

import itertools
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.core.people import User
from bot.core.replies import Reply, Tone
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.declaration import OptionKind
from bot.dispatch.run_requests import REQUEST_ACTIONS
from tests.commands.run_bench import LISTED, PAINTER, UPSCALER, RunBench, open_run_bench
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR, OWNER

PICTURE = make_png()
_ACTIONS = ("confirm", "decline", "fill", "again", "retry", "cancel", "show", "delete", "undo", "tool", "voice", "")
STRANGER = User("console", "console", "eve", "Eve", is_administrator=True)
"""A moderator of another workspace."""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[RunBench]:
    async with open_run_bench(tmp_path) as opened:
        yield opened


async def test_a_listed_model_runs_with_its_own_inputs_after_the_price(bench: RunBench) -> None:
    question = await bench.say(f"/run {LISTED} a fox at dusk num_outputs=2 output_format=jpg")

    assert "- prompt: a fox at dusk" in question
    assert "This costs 6 credits" in question
    assert not bench.bench.predictions
    await bench.run_to_end()
    assert bench.bench.predictions[-1].input == {
        "prompt": "a fox at dusk",
        "num_outputs": 2,
        "output_format": "jpg",
    }
    assert await bench.bench.spent_micros() == 6_000


async def test_a_form_asks_for_what_is_needed_and_step_by_step_on_small_platforms(bench: RunBench) -> None:
    question = await bench.say(f"/run {LISTED}")

    assert "Still needed: prompt." in question
    assert bench.labels == ["Change inputs", "No"]
    form = await bench.open_form()
    prompt, outputs = form.declaration.option("prompt"), form.declaration.option("num_outputs")
    assert prompt is not None
    assert (prompt.is_required, prompt.kind) == (True, OptionKind.TEXT)
    assert outputs is not None
    assert (outputs.minimum, outputs.maximum) == (1, 4)
    assert "This costs 9 credits" in await bench.submit({"prompt": "an owl", "num_outputs": "3", "seed": ""})
    assert (await bench.open_form()).values == {"prompt": "an owl", "num_outputs": 3}
    assert "This costs 3 credits" in await bench.submit({"num_outputs": "1"})
    await bench.run_to_end()
    assert bench.bench.predictions[-1].input == {"prompt": "an owl", "num_outputs": 1}


async def test_a_mistake_in_a_form_leaves_the_question_open(bench: RunBench) -> None:
    await bench.say(f"/run {LISTED}")
    question = bench.question

    assert await bench.submit({"prompt": "an owl", "num_outputs": "9"}) == "num_outputs must be from 1 to 4, not 9."
    bench.question = question
    assert "This costs 3 credits" in await bench.submit({"prompt": "an owl"})


async def test_only_the_asker_fills_and_confirms(bench: RunBench) -> None:
    await bench.say(f"/run {LISTED} an owl")
    question = bench.question

    refusal = "Only the person who was asked can answer this."
    assert await bench.press("confirm", by=BEN) == refusal
    bench.question = question
    assert await bench.submit({"prompt": "mine"}, by=BEN) == refusal
    bench.question = question
    assert await bench.press("confirm") == ""


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        ("/run", "Which model? Give a name of /models, or owner/name."),
        ("/run nobody/nothing a fox", "Replicate shows no model nobody/nothing."),
        (f"/run {LISTED}:{'0' * 64} a fox", f"Replicate shows no model {LISTED} of that version."),
        ("/run fluxx-schnell a fox", "There is no model called “fluxx-schnell”. Did you mean flux-schnell?"),
        (f"/run {LISTED} promt=x", "There is no input called “promt”. Did you mean prompt?"),
        (f"/run {LISTED} x disable_safety_checker=true", "There is no input called “disable_safety_checker”."),
        (f"/run {LISTED} seed=soon a fox", "seed must be a number, not “soon”."),
        (f'/run {LISTED} {{"prompt": 1', 'The inputs begin like JSON and are none. Write prompt="a fox" steps=20.'),
        (f"/run {LISTED} image=@file a fox", "There is no input called “image”."),
        (f"/run {UPSCALER} image=@file", "There is no @file: you attached no files."),
        (f"/run {UPSCALER} image=https://127.0.0.1/a.png", "I do not follow links to private or local addresses."),
        (f"/run {LISTED} prompt={'x' * 20_001}", "inputs is "),
    ],
)
async def test_a_mistake_is_one_sentence_and_starts_nothing(bench: RunBench, line: str, refusal: str) -> None:
    assert (await bench.say(line)).startswith(refusal)
    assert not bench.bench.predictions


async def test_a_workspace_can_turn_it_off(bench: RunBench) -> None:
    await bench.say("/settings run off", by=MODERATOR)

    assert await bench.say(f"/run {LISTED} a fox") == (
        "/run is off in this workspace. A moderator can turn it on with /settings run."
    )


async def ask_for(bench: RunBench, line: str, *, by: User = ANA, file: bytes | None = None) -> str:
    await bench.say(line, by=by, **({"file": file} if file else {}))  # type: ignore[arg-type]  # files by option
    assert "Ask for approval" in bench.labels
    return await bench.press("confirm", by=by)


async def test_another_model_runs_once_the_owner_approved_it(bench: RunBench) -> None:
    asked = await ask_for(bench, f"/run {UPSCALER} scale=2", file=PICTURE)

    assert asked == f"I asked the moderators for {UPSCALER}. The answer comes here."
    request = bench.last_request.text
    assert f"Ana asks to run **{UPSCALER}** here." in request
    assert "A run costs at most 91.5 credits and takes at most 60 s" in request
    assert await bench.approve(OWNER) == (
        f"{UPSCALER} is approved everywhere by The owner: everybody can use it with /run real-esrgan."
    )
    await bench.say("/run real-esrgan scale=2", by=BEN, file=PICTURE)
    assert "Run" in bench.labels
    await bench.press("confirm", by=BEN)
    await bench.bench.wait_until_done()
    assert [output.width for output in await bench.bench.app.jobs.list_outputs(await bench.bench.last_job())] == [64]
    assert len(bench.bench.predictions) == 1


async def test_a_moderator_approves_for_the_own_workspace_only(bench: RunBench) -> None:
    await ask_for(bench, f"/run {PAINTER} a fox")

    assert await bench.approve(MODERATOR) == ("Only my owner can approve a model everywhere. Approve it here only.")
    assert await bench.approve(STRANGER, "approve_here") == (
        "Only a moderator of that workspace, or my owner, can decide this."
    )
    assert await bench.approve(BEN, "approve_here") == (
        "Only a moderator of that workspace, or my owner, can decide this."
    )
    assert "is approved here by Mo" in await bench.approve(MODERATOR, "approve_here")
    catalogue = bench.bench.app.dispatcher.services.catalogue
    assert catalogue.for_workspace("web", "page").find(PAINTER) is not None
    assert catalogue.for_workspace("web", "other").find(PAINTER) is None
    assert catalogue.find(PAINTER) is None


async def test_forged_buttons_approve_run_and_spend_nothing(bench: RunBench) -> None:
    await bench.say(f"/run {PAINTER} a fox")
    dispatcher, question = bench.bench.app.dispatcher, bench.question
    assert question is not None
    await bench.press("confirm")
    request, keys = bench.last_request.buttons[0].job, itertools.count()
    of_users = [(action, request, by) for action in (*_ACTIONS, *REQUEST_ACTIONS) for by in (ANA, BEN, STRANGER)]
    of_moderators = [(action, request, by) for action in _ACTIONS for by in (MODERATOR, OWNER)]
    swapped = [(action, question.buttons[0].job, OWNER) for action in (*REQUEST_ACTIONS, "confirm")]

    for action, job, by in (*of_users, *of_moderators, *swapped):
        press = ButtonPress(by, CHANNEL, action, job, -1, f"web:forged{next(keys)}", "")
        replies = [
            await dispatcher.handle_press(press),
            await dispatcher.open_form(press),
            await dispatcher.submit_form(press, {"prompt": "an owl"}),
        ]
        assert all(isinstance(reply, Reply) and reply.tone is Tone.ERROR for reply in replies), (action, by)

    assert bench.bench.predictions == []
    assert await bench.bench.spent_micros() == 0
    assert "is approved here by Mo" in await bench.approve(MODERATOR, "approve_here")


async def test_a_request_is_decided_once(bench: RunBench) -> None:
    await ask_for(bench, f"/run {PAINTER} a fox")
    assert await bench.say(f"/run {PAINTER} a fox", by=BEN)
    assert await bench.press("confirm", by=BEN) == f"The moderators have a request for {PAINTER} already."

    assert await bench.approve(OWNER, "refuse") == f"{PAINTER} was refused by The owner."

    assert (await bench.approve(OWNER)).startswith("That request was decided already")
    assert bench.bench.app.dispatcher.services.catalogue.find(PAINTER) is None


async def test_a_person_has_few_requests_at_once(bench: RunBench) -> None:
    for n in range(1, 6):
        await ask_for(bench, f"/run {_other(n)} a fox")

    await bench.say(f"/run {UPSCALER}", file=PICTURE)
    assert (await bench.press("confirm")).startswith("5 requests of yours wait already.")


def _other(n: int) -> str:
    return f"black-forest-labs/flux-2-{('klein-4b', 'klein-9b', 'dev', 'pro', 'max')[n - 1]}"


async def test_nothing_is_approved_after_a_higher_price(bench: RunBench) -> None:
    await ask_for(bench, f"/run {PAINTER} a fox")
    version = bench.bench.sandbox.catalogue.find(PAINTER).latest
    assert version is not None
    model = version.model
    dearer = [replace(tier, prices={"image_output_count": "0.9"}) for tier in model.billing]
    object.__setattr__(model, "billing", tuple(dearer))  # the page says so from now on
    bench.bench.sandbox.clock.advance(301)

    assert await bench.approve(OWNER) == (
        f"The price of {PAINTER} rose since the request. Nothing was approved: ask again with /run."
    )
    assert bench.bench.app.dispatcher.services.catalogue.find(PAINTER) is None


async def test_nothing_is_approved_after_a_newer_version(bench: RunBench) -> None:
    await ask_for(bench, f"/run {UPSCALER}", file=PICTURE)
    page = bench.bench.sandbox.catalogue.find(UPSCALER)
    newest = page.versions[0]
    page.versions.insert(0, replace(newest, model=replace(newest.model, version="f" * 64)))
    bench.bench.sandbox.clock.advance(301)

    assert await bench.approve(OWNER) == (
        f"{UPSCALER} has a newer version since the request. Nothing was approved: ask again with /run."
    )
    assert bench.bench.app.dispatcher.services.catalogue.find(UPSCALER) is None


async def test_anything_below_a_price_runs_without_an_approval(bench: RunBench) -> None:
    await bench.say("/settings run anything 5", by=MODERATOR)

    await bench.say(f"/run {PAINTER} a fox")
    assert "Run" in bench.labels
    await bench.run_to_end()
    assert len(bench.bench.predictions) == 1
    await bench.say(f"/run {UPSCALER}", file=PICTURE)
    assert "Ask for approval" in bench.labels


async def test_a_dearer_run_than_agreed_is_refused(bench: RunBench) -> None:
    small = "/run black-forest-labs/flux-2-dev a fox width=512 height=512"
    await bench.say("/settings run anything 5", by=MODERATOR)
    await bench.say(small)
    await bench.run_to_end()
    spent = await bench.bench.spent_micros()

    assert await bench.say(f"{small} input_images=@file", file=make_png(2000, 1000)) == (
        "This may cost 31.7 credits, and 5 were agreed to for Flux 2 dev. "
        "Ask for less, or ask a moderator to approve more."
    )
    assert await bench.bench.spent_micros() == spent


async def add(bench: RunBench, line: str, *, by: User = MODERATOR) -> str:
    await bench.say(line, by=by)
    return await bench.press("confirm", by=by)


async def test_models_are_found_and_shown(bench: RunBench) -> None:
    assert f"`{UPSCALER}`" in await bench.say("/model search upscale")
    shown = await bench.say(f"/model show {UPSCALER}")
    assert "not approved here" in shown
    assert "- `image` *(needed)*" in shown
    assert "*(in use)*" in await bench.say(f"/model versions {UPSCALER}")
    assert await bench.say("/model search zzzzqqq") == "Nothing fits “zzzzqqq”. Try other words."


async def test_a_moderator_adds_updates_and_withdraws_a_model(bench: RunBench) -> None:
    assert await bench.say(f"/model add {UPSCALER}") == "/model add is for a moderator of this workspace."
    assert await bench.say(f"/model add {UPSCALER} --everywhere", by=MODERATOR) == (
        "Only my owner can add a model for all workspaces."
    )
    added = await add(bench, f"/model add {UPSCALER} --seconds 20")
    assert added == "Real esrgan is on offer here, as `real-esrgan` for /run."
    assert "- **/run** Real esrgan (`real-esrgan`)" in await bench.say("/models")
    assert (
        await bench.say(f"/model add {UPSCALER}", by=MODERATOR) == "Real esrgan is on offer already, as `real-esrgan`."
    )
    assert await bench.say("/model update real-esrgan", by=MODERATOR) == "Real esrgan is at that version already."

    page = bench.bench.sandbox.catalogue.find(UPSCALER)
    older = page.versions[0].model
    newer = replace(
        older, version="f" * 64, fields=tuple(field for field in older.fields if field.name != "face_enhance")
    )
    page.versions.insert(0, replace(page.versions[0], model=newer))
    bench.bench.sandbox.clock.advance(301)
    question = await bench.say("/model update real-esrgan", by=MODERATOR)
    assert "- `face_enhance` is gone." in question
    assert await bench.press("confirm", by=MODERATOR) == "Real esrgan is updated, as `real-esrgan-2`."
    assert await bench.say("/model remove real-esrgan", by=MODERATOR) == (
        "Real esrgan is withdrawn. Its unfinished jobs go on."
    )
    refusal = "No model called “real-esrgan-3” was added here. /model add adds one."
    assert await bench.say("/model remove real-esrgan-3", by=MODERATOR) == refusal


async def test_a_model_is_added_for_a_command(bench: RunBench) -> None:
    assert await add(bench, f"/model add {PAINTER} --task imagine") == (
        "Flux 2 klein 4b is on offer here, as `flux-2-klein-4b` for /imagine."
    )

    assert await bench.say("/imagine a fox --model flux-2-klein-4b") == ""
    await bench.bench.wait_until_done()
    assert bench.bench.predictions[-1].model == PAINTER
    assert "There is no model called" in await bench.say("/imagine a fox --model flux-2-klein-4b", by=STRANGER)


async def test_a_model_withdrawn_before_the_press_does_not_run(bench: RunBench) -> None:
    await add(bench, f"/model add {UPSCALER}")
    await bench.say("/run real-esrgan", file=PICTURE)
    question = bench.question
    await bench.say("/model remove real-esrgan", by=MODERATOR)

    assert "There is no model called" in await bench.press("confirm", on=question)
    assert not bench.bench.predictions
