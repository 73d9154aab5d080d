"""Models that edit pictures by words, fill masks, remove backgrounds and restore faces, performed by rules.

Fields as in public registries of 2026-11 and on the models' version pages.
"""

import secrets
from collections.abc import Callable
from functools import partial

from bot.sandbox.faults import SandboxModelFailed, strip_fault_words
from bot.sandbox.model import InputField, SandboxOutputKind, SandboxRun, create_model
from bot.sandbox.painter.editor import EditOrder, edit, extend
from bot.sandbox.painter.filters import remove_background, restore
from bot.sandbox.painter.picture import UnreadablePicture

HONEST_EDIT = "Sandbox editor: words are matched with simple rules (colours, light, seasons, crops), not an AI model."
_SEED = InputField("seed", "integer", "Random seed. Set for reproducible generation")
_PROMPT = InputField("prompt", "string", "Text description of the edit", required=True)
_RATIOS = ("match_input_image", "1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "4:5", "5:4", "21:9", "9:21")
_RATIO = InputField(
    "aspect_ratio", "string", "Aspect ratio of the generated image", default="match_input_image", choices=_RATIOS
)
_FORMAT = InputField("output_format", "string", "Format of the output", default="png", choices=("jpg", "png"))
_TOLERANCE = InputField("safety_tolerance", "integer", "0 is most strict", default=2, minimum=0, maximum=6)


def _read_ratio(run: SandboxRun) -> float | None:
    across, _, down = str(run.input.get("aspect_ratio", "")).partition(":")
    return int(across) / int(down) if down else None


async def edit_pictures(
    run: SandboxRun, pictures: list[bytes], mask: bytes | None = None, *, seconds: float = 2.0, outpaint: str = "None"
) -> None:
    """Edit the first picture by the words of `prompt`; `seconds` are the model's time. A run without pictures fails.

    With an `outpaint` other than "None" the picture grows, and the words change what is added.
    """
    if not pictures:
        raise SandboxModelFailed("Input validation error: an image is required")
    seed = run.input.get("seed")
    seed = secrets.randbelow(2**31) if seed is None else seed
    run.log(f"Using seed: {seed}")
    run.log(HONEST_EDIT)
    order = EditOrder(
        prompt=strip_fault_words(str(run.input.get("prompt", ""))),
        seed=seed,
        pictures=tuple(pictures),
        mask=mask,
        ratio=_read_ratio(run),
        extension=str(run.input.get("output_format", "png")).replace("jpeg", "jpg"),
    )
    try:
        work = edit if outpaint == "None" else partial(extend, outpaint=outpaint)
        content = await run.run_in_worker(work, order)
    except UnreadablePicture as error:
        raise SandboxModelFailed(str(error)) from error
    await run.run_steps(8, seconds)
    run.add_file(content, order.extension)
    run.set_metric("image_count", 1)
    run.set_metric("image_output_count", 1)


async def _edit_image(run: SandboxRun) -> None:
    picture = await run.read_file("input_image")
    await edit_pictures(run, [picture] if picture else [])


async def _edit_images(run: SandboxRun) -> None:
    await edit_pictures(run, await run.read_files("images"), seconds=0.8)


async def _fill(run: SandboxRun) -> None:
    picture, mask = await run.read_file("image"), await run.read_file("mask")
    if mask is None:
        raise SandboxModelFailed("Input validation error: a mask is required")
    await edit_pictures(run, [picture] if picture else [], mask)


async def _remove_background(run: SandboxRun) -> None:
    await process_picture(run, await run.read_file("image"), remove_background)


async def _restore(run: SandboxRun) -> None:
    await process_picture(run, await run.read_file("img"), restore)


async def process_picture(run: SandboxRun, picture: bytes | None, work: Callable[[bytes], bytes]) -> None:
    """Add the PNG that `work` makes of a picture. A run without a picture, or with an unreadable picture, fails."""
    if picture is None:
        raise SandboxModelFailed("Input validation error: an image is required")
    run.log("Sandbox: classical filters, not an AI model.")
    try:
        content = await run.run_in_worker(work, picture)
    except UnreadablePicture as error:
        raise SandboxModelFailed(str(error)) from error
    await run.run_steps(4, 1.0)
    run.add_file(content, "png")
    run.set_metric("image_count", 1)
    run.set_metric("image_output_count", 1)


KONTEXT_PRO = create_model(
    "black-forest-labs/flux-kontext-pro",
    "an editor that applies simple words by rules, in the place of a diffusion model.",
    (
        _PROMPT,
        InputField("input_image", "file", "Image to use as reference"),
        _RATIO,
        InputField("prompt_upsampling", "boolean", "Automatic prompt improvement", default=False),
        _SEED,
        _FORMAT,
        _TOLERANCE,
    ),
    _edit_image,
)

P_IMAGE_EDIT = create_model(
    "prunaai/p-image-edit",
    "an editor that applies simple words by rules and blends references, in the place of a diffusion model.",
    (
        InputField("images", "files", "Images to edit, the main image first", required=True),
        _PROMPT,
        _RATIO,
        InputField("turbo", "boolean", "Run faster", default=True),
        _SEED,
    ),
    _edit_images,
)

SD_INPAINTING = create_model(
    "stability-ai/stable-diffusion-inpainting",
    "an editor that changes the white part of a mask by rules, in the place of a diffusion model.",
    (
        InputField("prompt", "string", "Input prompt", default="a vision of paradise. unreal engine"),
        InputField("image", "file", "Initial image to generate variations of", required=True),
        InputField("mask", "file", "Black and white image: white pixels are inpainted", required=True),
        InputField("negative_prompt", "string", "Specify things to not see in the output"),
        InputField("num_outputs", "integer", "Number of images to output", default=1, minimum=1, maximum=4),
        InputField("num_inference_steps", "integer", "Number of steps", default=50, minimum=1, maximum=500),
        InputField("guidance_scale", "number", "Scale for guidance", default=7.5, minimum=1, maximum=20),
        _SEED,
    ),
    _fill,
    version="95b7223104132402a9ae91cc677285bc5eb997834bd2349fa486f53910fd68b3",
    output=SandboxOutputKind.FILES,
)

REMBG = create_model(
    "cjwbw/rembg",
    "a filter that makes the border's colours transparent, in the place of a segmentation model.",
    (InputField("image", "file", "Input image", required=True),),
    _remove_background,
    version="fb8af171cfa1616ddcf1242c093f9c46bcada5ad4cf6f2fbe8b81b330ec5c003",
)

GFPGAN = create_model(
    "tencentarc/gfpgan",
    "a filter that cleans and sharpens, in the place of a face model.",
    (
        InputField("img", "file", "Input", required=True),
        InputField("version", "string", "GFPGAN version", default="v1.4", choices=("v1.2", "v1.3", "v1.4")),
        InputField("scale", "number", "Rescaling factor", default=2),
    ),
    _restore,
    version="9283608cc6b7be6b65a8e44983db012355fde4132009bf99d976b2f0896856a3",
)
