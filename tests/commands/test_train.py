"""`/train`: a model of the workspace from pictures, at a price that is confirmed, through the sandbox's trainings."""

import base64
import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any

import pytest

from bot.app import App
from bot.core.jobs import Job, JobState
from bot.core.people import User
from bot.dispatch.trained_models import TrainedModels
from bot.sandbox.catalogue import SandboxVersion
from bot.sandbox.faults import FaultKind, SandboxFault
from bot.sandbox.prediction_store import SandboxPrediction
from bot.settings import Owner
from tests.commands.run_bench import RunBench
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA, BEN, CHANNEL, CLEO, ELSEWHERE, MODERATOR
from tests.faults.bench import open_fault_bench
from tests.media.pictures import make_png_bomb
from tests.media.zips import make_bomb, make_picture_zip, make_zip
from tests.storage.raw import list_jobs_with_open_holds

OWNER = User("web", "page", "owner", "You", is_owner=True)
PLENTY_MICROS = 20_000_000
LINE = "/train our-style --trigger FOXY --steps 500"
TRAINER_MICROS = 1_400
"""The price of a second of the entry."""


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[RunBench]:
    async with open_fault_bench(tmp_path, changes={"admin_users": (Owner("web", "page", "owner"),)}) as opened:
        await opened.app.jobs.record_user(MODERATOR)
        wallets = opened.app.dispatcher.services.credits.wallets
        await wallets.grant(OWNER, MODERATOR, PLENTY_MICROS, "web:grant", is_owner=True)
        yield RunBench(opened)


async def begin(bench: RunBench) -> SandboxPrediction:
    """Confirm a training, and return the training that the sandbox runs."""
    await bench.say(LINE, by=MODERATOR, file=make_picture_zip(5))
    assert await bench.press("confirm", by=MODERATOR) == ""
    await bench.bench.wait_until(lambda: bool(list_trainings(bench)), step_seconds=0.1)
    return list_trainings(bench)[0]


def arm(bench: RunBench, kind: FaultKind, amount: float | None = None) -> None:
    """Let the next training meet a fault."""
    bench.bench.sandbox.faults.arm(SandboxFault.parse(kind, amount))


def list_trainings(bench: RunBench) -> list[SandboxPrediction]:
    return list(bench.bench.sandbox.trainings.list_newest_first())


async def list_jobs(bench: RunBench) -> list[Job]:
    """Return the moderator's jobs, oldest first."""
    return (await bench.bench.app.jobs.list_recent(MODERATOR))[::-1]


async def test_a_training_becomes_a_model_of_the_workspace_with_a_test_picture(bench: RunBench) -> None:
    question = await bench.say(LINE, by=MODERATOR, file=make_picture_zip(5))

    assert question == (
        "Train `our-style` on 5 pictures, with the word FOXY? A test picture follows, at its own price. "
        "This costs about 840, at most 2,520 credits with SDXL training. Go ahead?"
    )
    assert not list_trainings(bench)
    assert await list_jobs(bench) == []
    assert await bench.press("confirm", by=MODERATOR) == ""
    await bench.bench.wait_until_done(step_seconds=0.1)

    (training,) = list_trainings(bench)
    job, drawn = await list_jobs(bench)
    assert (training.model, training.input["token_string"], training.input["max_train_steps"]) == (
        "stability-ai/sdxl",
        "FOXY",
        500,
    )
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(training.input["input_images"].partition(",")[2]))) as packed:
        assert packed.namelist() == [f"{n:03}.png" for n in range(1, 6)]
    assert (job.state, drawn.state) == (JobState.DELIVERED, JobState.DELIVERED)
    assert job.cost_micros == ceil(Fraction(repr(training.metrics["predict_time"])) * TRAINER_MICROS)
    told = [message for message in bench.bench.platform.messages.values() if "/train" in message.reply.request_summary]
    assert [message.text for message in told] == [
        "**our-style** is trained: `/imagine a picture of FOXY --model our-style` draws with it here. A test picture "
        "follows."
    ]
    (picture,) = bench.bench.predictions
    assert (picture.model, picture.input["prompt"]) == ("sandbox/easel-our-style", "a picture of FOXY")
    assert bench.bench.last.reply.pictures
    assert await list_jobs_with_open_holds(bench.bench.app.database) == []

    assert await bench.say("/imagine a fox --model our-style", by=ANA) == ""
    await bench.bench.wait_until_done()
    assert bench.bench.predictions[-1].version == picture.version
    assert "`our-style` our-style: Trained here by Mo: say FOXY in the prompt." in await bench.say("/models imagine")
    catalogue = bench.bench.app.dispatcher.services.catalogue
    assert catalogue.for_workspace(ELSEWHERE.platform, ELSEWHERE.workspace).find("our-style") is None
    taken = "There is a model called our-style already. Give another name."
    assert await bench.say(LINE, by=MODERATOR, file=make_picture_zip(5)) == taken
    assert (await bench.say("/run sdxl-training a fox")).endswith("makes a model of pictures: use it with /train.")


MISTAKES = (
    (LINE, make_bomb(), "That zip unpacks to more than I read"),
    (LINE, b"PK\x03\x04 and nothing of a zip", "That zip cannot be read"),
    (LINE, b"The quick brown fox jumps over the lazy dog.", "That is a text, not a picture I can read"),
    (LINE, make_png(), "A training needs at least 4 different pictures, and here are 1 different picture."),
    (LINE, make_zip(dict.fromkeys("abcde", make_png())), "A training needs at least 4 different pictures"),
    (LINE, make_zip({f"{n}.png": make_png(32, 24 + n) for n in range(41)}), "A training takes at most 40 pictures"),
    (LINE, make_zip({"a.png": make_png_bomb()}), "That picture has too many pixels"),
    ("/train x", make_picture_zip(), "A model's name has 2 to 30 letters, digits and dashes"),
    ("/train SDXL", make_picture_zip(), "There is a model called sdxl already."),
    ("/train mine --trigger two-words", make_picture_zip(), "The word for prompts is one word"),
    ("/train mine --steps 5000", make_picture_zip(), "SDXL training takes steps from 100 to 2000, not 5000."),
    ("/train mine", b"", "There are no pictures here to train on."),
)


async def test_bad_input_is_one_sentence_and_nothing_is_spent(bench: RunBench) -> None:
    for line, file, refusal in MISTAKES:
        files: dict[str, Any] = {"file": file} if file else {}
        assert (await bench.say(line, by=MODERATOR, **files)).startswith(refusal), refusal

    assert await bench.say(LINE, file=make_picture_zip()) == "/train is for a moderator of this workspace."
    assert (await list_jobs(bench), list_trainings(bench)) == ([], [])


async def test_the_pictures_of_a_thread_are_used_where_their_makers_agree(bench: RunBench) -> None:
    for person, count in ((MODERATOR, 2), (ANA, 2), (BEN, 1)):
        await bench.say(f"/imagine a fox --count {count}", by=person)
        await bench.bench.wait_until_done()

    assert await bench.say(LINE, by=MODERATOR) == (
        "I asked Ben and Ana. Type the command again after the answers: pictures without a yes are left out."
    )
    asked = bench.bench.last.reply
    assert asked.text == (
        "Mo wants to train the model `our-style` on the pictures made here. Ben and Ana: may your pictures be used? "
        "Your answer holds here for a week, and for Mo alone."
    )
    assert (await bench.press("allow_training", by=CLEO, on=asked)).startswith("That question is for the makers")
    too_few = "A training needs at least 4 different pictures, and here are 2 different pictures."
    assert (await bench.say(LINE, by=MODERATOR)).startswith(too_few)
    assert await bench.press("allow_training", by=ANA, on=asked) == "Noted: your pictures here may be used."
    assert await bench.press("deny_training", by=BEN, on=asked) == "Noted: your pictures here stay out."
    question = await bench.say(LINE, by=MODERATOR)
    assert question.startswith(
        "Train `our-style` on 4 pictures, with the word FOXY? Left out are those of Ben. A test picture follows"
    )
    assert (await bench.say("/train mine", by=MODERATOR, channel=replace(CHANNEL, id="c2"))).startswith(
        "There are no pictures here to train on."
    )


async def test_stop_ends_the_training_and_offers_no_model(bench: RunBench) -> None:
    arm(bench, FaultKind.HANG)
    training = await begin(bench)

    await bench.press("cancel", by=MODERATOR, on=bench.bench.last.reply)
    await bench.bench.wait_until_done()

    (job,) = await list_jobs(bench)
    assert (job.state, str(training.status)) == (JobState.CANCELLED, "canceled")
    assert bench.bench.app.dispatcher.services.catalogue.added == {}
    assert await list_jobs_with_open_holds(bench.bench.app.database) == []


async def test_a_failed_training_costs_nothing(bench: RunBench) -> None:
    arm(bench, FaultKind.OOM)
    await begin(bench)
    await bench.bench.wait_until_done()

    (job,) = await list_jobs(bench)
    assert (job.state, job.cost_micros) == (JobState.FAILED, 0)
    assert bench.bench.last.text.startswith("⚠ The model failed: out of memory.")


async def test_a_training_whose_reply_was_lost_is_adopted(bench: RunBench) -> None:
    arm(bench, FaultKind.SERVER_ERROR)
    await begin(bench)
    await bench.bench.wait_until_done()

    assert len(list_trainings(bench)) == 1
    assert [job.state for job in await list_jobs(bench)] == [JobState.DELIVERED, JobState.DELIVERED]


async def test_another_process_ends_the_training_and_begins_nothing_twice(bench: RunBench) -> None:
    arm(bench, FaultKind.SLOW, 60)
    await begin(bench)
    await bench.bench.wait_until(lambda: any(one.percent for one in bench.bench.progress))
    await bench.bench.app.close()

    app = bench.bench.app = App(bench.bench.app.settings, clock=bench.bench.clock)
    try:
        await app.open(bench.bench.platform)
        await bench.bench.wait_until_done(step_seconds=5)
        job, drawn = await list_jobs(bench)
        # As after a kill between the test picture and the delivery.
        assert await TrainedModels(app.dispatcher).follow(replace(job, state=JobState.FINISHED))
        await bench.bench.wait_until_done()

        assert [one.id for one in await list_jobs(bench)] == [job.id, drawn.id]
        assert (len(list_trainings(bench)), len(bench.bench.predictions)) == (1, 1)
        assert list(app.dispatcher.services.catalogue.added) == ["our-style"]
        assert await list_jobs_with_open_holds(app.database) == []
    finally:
        await app.close()


async def test_the_second_of_two_equal_names_gets_a_name_of_its_own(bench: RunBench) -> None:
    for count in (4, 5):
        arm(bench, FaultKind.SLOW)
        await bench.say(LINE, by=MODERATOR, file=make_picture_zip(count))
        assert await bench.press("confirm", by=MODERATOR) == ""
    await bench.bench.wait_until_done()

    assert sorted(bench.bench.app.dispatcher.services.catalogue.added) == ["our-style", "our-style-2"]
    texts = [message.text for message in bench.bench.platform.messages.values()]
    assert texts.count("`our-style` was taken meanwhile: the model is `our-style-2`.") == 1


class DeletedVersions(list[SandboxVersion]):
    """The versions of a model whose owner deletes each at once."""

    def insert(self, *_: object) -> None:
        pass


async def test_a_version_that_is_gone_is_told_and_not_offered(bench: RunBench) -> None:
    arm(bench, FaultKind.SLOW)
    await begin(bench)
    bench.bench.sandbox.catalogue.find("sandbox/easel-our-style").versions = DeletedVersions()
    await bench.bench.wait_until_done()

    (job,) = await list_jobs(bench)
    assert job.state is JobState.DELIVERED
    assert bench.bench.last.text.startswith("The trained model sandbox/easel-our-style:")
    assert bench.bench.app.dispatcher.services.catalogue.added == {}
