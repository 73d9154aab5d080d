"""Models that edit pictures by words, fill masks, remove backgrounds and restore faces, performed by rules.

Fields as in public registries of 2026-11 and on the models' version pages.
"""

import secrets
from collections.abc import Callable
from functools import partial

from bot.sandbox.faults import SandboxModelFailed, strip_fault_words
from bot.sandbox.model import BillingTier, InputField, SandboxOutputKind, SandboxRun, create_model
from bot.sandbox.painter.editor import (
    EditOrder,
    draw_over_lines,
    edit,
    extend,
    find_lines,
    remove_background,
    resize,
    restore,
)
from bot.sandbox.painter.picture import UnreadablePicture

HONEST_EDIT = "Sandbox editor: words are matched with simple rules (colours, light, seasons, crops), not an AI model."
_SEED = InputField("seed", "integer", "Random seed. Set for reproducible generation")
_PROMPT = InputField("prompt", "string", "Text description of the edit", required=True)
_RATIOS = ("match_input_image", "1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3", "4:5", "5:4", "21:9", "9:21")
_RATIO = InputField(
    "aspect_ratio", "string", "Aspect ratio of the generated image", default="match_input_image", choices=_RATIOS
)
_FORMAT = InputField("output_format", "string", "Format of the output", default="png", choices=("jpg", "png"))
_SD_SIDE, _SD_SIDE_MULTIPLE = 512, 64
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
    """Repaint the white parts of the mask, in the size of the fields, as the model does: 512 × 512 by default."""
    picture, mask = await run.read_file("image"), await run.read_file("mask")
    if picture is None or mask is None:
        raise SandboxModelFailed("Input validation error: image and mask are required")
    size = run.input.get("width", _SD_SIDE), run.input.get("height", _SD_SIDE)
    if any(side % _SD_SIDE_MULTIPLE for side in size):
        raise SandboxModelFailed(f"width and height must be multiples of {_SD_SIDE_MULTIPLE}, not {size[0]}x{size[1]}")
    try:
        given = [await run.run_in_worker(resize, content, size) for content in (picture, mask)]
    except UnreadablePicture as error:
        raise SandboxModelFailed(str(error)) from error
    await edit_pictures(run, given[:1], given[1])


async def _draw_over_lines(run: SandboxRun) -> None:
    """Add the lines of the picture, then a scene under the lines, for each requested sample."""
    picture = await run.read_file("image")
    if picture is None:
        raise SandboxModelFailed("Input validation error: an image is required")
    seed = run.input.get("seed")
    seed = secrets.randbelow(2**31) if seed is None else seed
    run.log(f"Using seed: {seed}")
    run.log("Sandbox painter: a scene by rules under the picture's lines, not an AI model.")
    prompt, side = strip_fault_words(str(run.input.get("prompt", ""))), int(run.input.get("image_resolution", "512"))
    samples = range(int(run.input.get("num_samples", "1")))
    try:
        lines = await run.run_in_worker(find_lines, picture, side)
        drawn = [await run.run_in_worker(draw_over_lines, lines, prompt, seed + n) for n in samples]
    except UnreadablePicture as error:
        raise SandboxModelFailed(str(error)) from error
    await run.run_steps(min(run.input.get("ddim_steps", 20), 100), 2.0)
    for content in (lines, *drawn):
        run.add_file(content, "png")


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
    billing=(BillingTier({"image_output_count": "0.04"}),),
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
    billing=(BillingTier({"image_output_count": "0.01"}),),
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
        InputField("width", "integer", "Width of generated image", default=_SD_SIDE, minimum=64, maximum=1024),
        InputField("height", "integer", "Height of generated image", default=_SD_SIDE, minimum=64, maximum=1024),
        _SEED,
    ),
    _fill,
    version="95b7223104132402a9ae91cc677285bc5eb997834bd2349fa486f53910fd68b3",
    output=SandboxOutputKind.FILES,
)

CONTROLNET_CANNY = create_model(
    "jagilley/controlnet-canny",
    "a painter that draws scenes by rules under the lines of a picture, in the place of a diffusion model.",
    (
        InputField("image", "file", "Input image", required=True),
        _PROMPT,
        InputField("num_samples", "string", "Number of samples", default="1", choices=("1", "4")),
        InputField("image_resolution", "string", "Image resolution", default="512", choices=("256", "512", "768")),
        InputField("low_threshold", "integer", "Canny low threshold", default=100, minimum=1, maximum=255),
        InputField("high_threshold", "integer", "Canny high threshold", default=200, minimum=1, maximum=255),
        InputField("ddim_steps", "integer", "Steps", default=20),
        InputField("scale", "number", "Guidance scale", default=9, minimum=0.1, maximum=30),
        _SEED,
        InputField("eta", "number", "eta (DDIM)", default=0),
        InputField("a_prompt", "string", "Added prompt", default="best quality, extremely detailed"),
        InputField("n_prompt", "string", "Negative prompt", default="lowres, cropped, worst quality, low quality"),
    ),
    _draw_over_lines,
    version="aff48af9c68d162388d230a2ab003f68d2638d88307bdaf1c2f1ac95079c9613",
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
