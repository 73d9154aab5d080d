"""/edit, /removebg and /restore, at the bench."""

from pathlib import Path

import pytest

from bot.catalogue.loading import BUILT_IN_PATH
from bot.commands import MENU
from bot.commands.edit import Edit
from bot.core.errors import BadOption
from bot.core.replies import Tone
from bot.dispatch.button_actions import ButtonPress
from bot.dispatch.parsing import parse_command
from tests.bench import Bench, make_attachment
from tests.fakes.backend import make_png
from tests.fakes.samples import ANA, CHANNEL


async def test_words_change_a_picture_with_references_in_order(bench: Bench) -> None:
    pictures = tuple(make_attachment(make_png(colour=colour)) for colour in ("red", "green", "blue"))

    await bench.invoke(Edit(prompt="make it winter", images=pictures))

    inputs = bench.backend.last_run.inputs
    assert bench.last_message.reply.tone is Tone.DONE
    assert bench.backend.last_run.model.key == "p-image-edit"
    assert inputs["prompt"] == "make it winter"
    assert isinstance(inputs["images"], list)
    assert len(set(map(str, inputs["images"]))) == 3


async def test_again_runs_with_the_same_files(bench: Bench) -> None:
    pictures = tuple(make_attachment(make_png(colour=colour)) for colour in ("red", "green"))
    await bench.invoke(Edit(prompt="make it winter", images=pictures))
    first = bench.backend.last_run.inputs["images"]

    await bench.press("again")

    assert bench.backend.last_run.inputs["images"] == first


def test_typed_files_are_named_in_order_and_too_many_are_refused() -> None:
    links = [f"--image=https://example.com/{n}.png" for n in range(5)]

    call = parse_command(f"/edit make it winter {' '.join(links[:4])}", MENU)

    assert call.options == {
        "prompt": "make it winter",
        "image": "https://example.com/0.png",
        "image2": "https://example.com/1.png",
        "image3": "https://example.com/2.png",
        "image4": "https://example.com/3.png",
    }
    with pytest.raises(BadOption, match="You gave more than 4 files as image."):
        parse_command(f"/edit make it winter {' '.join(links)}", MENU)


async def test_more_pictures_than_a_model_takes_are_refused_before_a_hold(bench: Bench) -> None:
    pictures = tuple(make_attachment(make_png(colour=colour)) for colour in ("red", "green"))

    refused = await bench.invoke(Edit(prompt="make it winter", images=pictures, model="flux-kontext-pro"))

    assert refused is not None
    hint = "Try p-image-edit or nano-banana-edit or nano-banana-2-edit."
    assert refused.text == f"FLUX Kontext pro takes one file as image, not 2. {hint}"
    assert await bench.balance() == bench.starting_credits
    assert not await bench.app.media.list_files()


async def test_a_mask_goes_to_a_model_that_takes_masks(bench: Bench) -> None:
    mask = make_attachment(make_png(colour="white"))

    await bench.invoke(Edit(prompt="a hat", images=(make_attachment(make_png()),), mask=mask))

    assert bench.backend.last_run.model.key == "sd-inpainting"
    assert str(bench.backend.last_run.inputs["mask"]).startswith("data:image/png")


async def test_a_model_for_masks_without_a_mask_is_refused_before_a_hold(bench: Bench) -> None:
    refused = await bench.invoke(Edit(prompt="a hat", images=(make_attachment(make_png()),), model="sd-inpainting"))

    assert refused is not None
    assert refused.text == "Stable Diffusion inpainting needs a mask: give one, or choose another model."
    assert await bench.balance() == bench.starting_credits
    assert not await bench.app.media.list_files()


async def test_a_mask_in_the_model_s_style_is_the_same_again(tmp_path: Path) -> None:
    catalogue = tmp_path / "models.toml"
    text = BUILT_IN_PATH.read_text(encoding="utf-8")
    catalogue.write_text(text.replace('mask = { to = "mask",', 'mask = { to = "mask", mask = "black",'))
    bench = await Bench.open(tmp_path, catalogue_path=catalogue)
    mask = make_attachment(make_png(colour="white"))
    await bench.invoke(Edit(prompt="a hat", images=(make_attachment(make_png()),), mask=mask))
    [first] = [run.inputs["mask"] for run in bench.backend.runs.values()]

    await bench.press("again")

    assert bench.backend.last_run.inputs["mask"] == first
    assert len(bench.backend.runs) == 2
    assert len(await bench.app.media.list_files()) == 3  # the picture (as are the results) and both masks
    await bench.close()


async def test_a_mask_of_another_size_is_refused(bench: Bench) -> None:
    mask = make_attachment(make_png(16, 16, "white"))

    refused = await bench.invoke(Edit(prompt="a hat", images=(make_attachment(make_png()),), mask=mask))

    assert refused is not None
    assert refused.text == (
        "The mask has 16 × 16 pixels and the picture 32 × 24: paint the mask over the same picture."
    )
    assert await bench.balance() == bench.starting_credits
    assert not await bench.app.media.list_files()


async def test_a_picture_grows_on_a_model_that_paints_beyond_the_edges(bench: Bench) -> None:
    picture = make_attachment(make_png())

    await bench.invoke(Edit(prompt="more sky", images=(picture,), outpaint="top"))
    assert bench.backend.last_run.model.key == "flux-fill-pro"
    assert bench.backend.last_run.inputs["outpaint"] == "Top outpaint"
    assert await bench.balance() == bench.starting_credits - 50_000

    both = await bench.invoke(Edit(prompt="a hat", images=(picture,), outpaint="top", mask=picture))
    elsewhere = await bench.say("/edit a hat --outpaint top --model p-image-edit", image=make_png())
    assert both is not None
    assert elsewhere is not None
    assert both.text == "Give a mask or a side to grow on, not both."
    assert elsewhere.text == "P-Image Edit does not take outpaint. Try flux-fill-pro."


async def test_a_mask_with_two_pictures_is_refused(bench: Bench) -> None:
    pictures = tuple(make_attachment(make_png(colour=colour)) for colour in ("red", "green"))

    refused = await bench.invoke(Edit(prompt="a hat", images=pictures, mask=make_attachment(make_png())))

    assert refused is not None
    assert refused.text == "A mask belongs to one picture: give one picture with it."


async def test_the_edit_button_changes_the_picture_of_its_message(bench: Bench) -> None:
    await bench.say("/imagine a fox --count 2")

    job, picture = (await bench.get_job()).id, bench.last_message.reply.pictures[1]
    press = ButtonPress(ANA, CHANNEL, "change", job, 2, "web:form1", "m1")
    await bench.app.dispatcher.submit_form(press, {"prompt": "make it winter"})
    await bench.wait_until_idle()

    assert bench.backend.last_run.model.key == "p-image-edit"
    assert bench.backend.last_run.inputs["images"] == [f"data:image/png;sha256,{picture.sha256}"]


async def test_a_background_is_removed_and_a_face_restored(bench: Bench) -> None:
    await bench.say("/removebg", image=make_png())
    assert bench.backend.last_run.model.key == "851-removebg"

    await bench.say("/restore --scale 2", image=make_png())
    assert bench.backend.last_run.model.key == "gfpgan"
    assert bench.backend.last_run.inputs["scale"] == 2
