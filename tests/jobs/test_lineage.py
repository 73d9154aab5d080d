"""The line of a picture: Undo goes back for nothing, an edit of an older picture branches, and the ways are stored."""

from dataclasses import replace
from pathlib import Path

import sqlalchemy as sa
from PIL import Image, ImageChops

from bot.core.errors import Unavailable
from bot.core.jobs import JobState
from bot.core.replies import Tone
from bot.storage.tables.jobs import jobs
from tests.bench import Bench
from tests.fakes.backend import make_png
from tests.fakes.platform import ShownMessage
from tests.fakes.samples import BEN, CHANNEL, get_text


async def draw(
    bench: Bench, colour: str, line: str = "/imagine a fox", image: ShownMessage | None = None
) -> ShownMessage:
    """Run a command whose picture has a colour, on the picture of a message if given; return the result's message."""
    bench.backend.will(picture=make_png(colour=colour))
    await bench.say(line, image=None if image is None else await read_picture(bench, image))
    assert bench.last_message.reply.tone is Tone.DONE
    return bench.last_message


async def read_picture(bench: Bench, message: ShownMessage) -> bytes:
    kept = bench.app.media.load_attachment(message.reply.pictures[0].sha256)
    assert kept is not None
    return await kept.read()


def list_actions(message: ShownMessage) -> list[str]:
    return [button.action for button in message.reply.buttons]


async def test_undo_shows_the_picture_before_for_nothing(bench: Bench) -> None:
    drawn = await draw(bench, "red")
    winter = await draw(bench, "white", "/edit make it winter", drawn)
    night = await draw(bench, "black", "/edit make it night", winter)
    balance = await bench.balance()

    await bench.press("undo")
    back = bench.last_message
    assert back.reply.pictures == winter.reply.pictures
    assert "back to the picture before · free" in back.reply.note
    await bench.say("/undo")
    first = bench.last_message

    assert first.reply.pictures == drawn.reply.pictures
    assert (list_actions(night)[1], list_actions(back)[1]) == ("undo", "undo")
    assert "undo" not in list_actions(first) + list_actions(drawn)
    assert get_text(await bench.say("/undo")).startswith("Nothing was before that picture")
    assert (await bench.balance(), len(bench.backend.runs)) == (balance, 3)
    assert not await bench.list_open_holds()


async def test_what_follows_an_undo_starts_from_the_picture_shown(bench: Bench) -> None:
    drawn = await draw(bench, "red")
    await draw(bench, "white", "/edit make it winter", drawn)
    await bench.press("undo")

    await bench.say("/upscale")
    await bench.press("undo")

    assert bench.last_message.reply.pictures == drawn.reply.pictures


async def test_an_edit_of_an_older_picture_is_a_branch(bench: Bench) -> None:
    drawn = await draw(bench, "red")
    await draw(bench, "white", "/edit make it winter", drawn)
    branch = await draw(bench, "black", "/edit make it night", drawn)

    await bench.press("undo", on=branch)

    assert bench.last_message.reply.pictures == drawn.reply.pictures


async def test_a_picture_of_another_person_s_private_job_stays_there(bench: Bench) -> None:
    drawn = await draw(bench, "red")
    await draw(bench, "white", "/edit make it winter", drawn)
    async with bench.app.database.write() as tx:
        await tx.jobs._run(sa.update(jobs).where(jobs.c.command == "imagine").values(is_private=True))

    refused = await bench.press("undo", by=BEN)

    assert get_text(refused).startswith("Nothing was before that picture")


async def test_the_picture_before_that_is_not_kept_is_told(bench: Bench) -> None:
    drawn = await draw(bench, "red")
    await draw(bench, "white", "/edit make it winter", drawn)
    await bench.app.media.remove(drawn.reply.pictures[0].sha256)

    refused = await bench.press("undo")

    assert get_text(refused).startswith("The picture before is not kept any more.")
    assert get_text(await bench.say("/undo", channel=replace(CHANNEL, id="c2"))).startswith("There is no job with a")


async def test_the_line_of_a_picture_is_one_numbered_sheet(bench: Bench) -> None:
    drawn = await draw(bench, "red")
    winter = await draw(bench, "white", "/edit make it winter", drawn)
    await draw(bench, "blue", "/upscale", winter)

    shown = await bench.say("/show --ancestors")

    assert shown is not None
    words = [line.partition(" · ")[0] for line in shown.text.splitlines()]
    assert words == ["1. /imagine a fox", "2. /edit make it winter", "3. /upscale"]
    [sheet] = shown.pictures
    path = bench.app.media.find_path(sheet.sha256)
    assert path is not None
    with Image.open(path) as picture:
        middles = [picture.crop((130 + n * 264, 130, 134 + n * 264, 134)).convert("RGB") for n in range(3)]
    expected = [Image.new("RGB", (4, 4), colour) for colour in ("red", "white", "blue")]
    differences = [ImageChops.difference(*pair).getextrema() for pair in zip(middles, expected, strict=True)]
    assert all(most < 12 for bands in differences for _, most in bands)  # type: ignore[misc]  # pairs, of RGB
    assert [(button.action, button.label, button.n) for button in shown.buttons] == [
        ("show", f"Show {n}", n) for n in (1, 2, 3)
    ]
    assert shown.buttons[0].job == drawn.reply.buttons[0].job
    await bench.app.retention.sweep()
    kept = [bench.app.media.find_path(sha256) for sha256 in (sheet.sha256, winter.reply.pictures[0].sha256)]
    assert [path is not None for path in kept] == [False, True]


async def test_a_picture_that_is_gone_leaves_its_place_on_the_sheet_empty(bench: Bench) -> None:
    drawn = await draw(bench, "red")
    await draw(bench, "white", "/edit make it winter", drawn)
    await bench.app.media.remove(drawn.reply.pictures[0].sha256)

    shown = await bench.say("/show --ancestors")

    assert shown is not None
    assert (len(shown.pictures), len(shown.text.splitlines())) == (1, 2)
    await draw(bench, "red")
    assert get_text(await bench.say("/show --ancestors")).startswith("That picture came from no other")
    refused = get_text(await bench.say("/show nothing --ancestors"))
    assert refused == "There is no job called “nothing” that you can see here: /show lists your latest."


async def test_an_undo_goes_on_after_a_kill(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path)
    drawn = await draw(bench, "red")
    await draw(bench, "white", "/edit make it winter", drawn)
    bench.platform.will_fail(Unavailable("The database is away."))
    await bench.press("undo")
    await bench.close()

    again = await bench.open_again(tmp_path)
    await again.wait_until_idle()

    [job, *_] = await again.app.jobs.list_recent(bench.last_message.destination.user)
    assert (job.state, job.cost_micros) == (JobState.DELIVERED, 0)
    assert again.last_message.reply.pictures == drawn.reply.pictures
    await again.close()
