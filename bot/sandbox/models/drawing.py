"""Models that draw, by recorded schemas: flux-schnell, flux-dev, flux-1.1-pro, SDXL; and the run of all picture models.

A run reads the seed, writes steps to the log, lets the painter draw in the worker, and counts files and metrics.
"""

import asyncio
import secrets

from bot.sandbox.faults import SandboxModelFailed, strip_fault_words
from bot.sandbox.model import (
    BillingTier,
    InputField,
    Performance,
    SandboxModel,
    SandboxOutputKind,
    SandboxRun,
    create_model,
)
from bot.sandbox.painter.picture import PictureOrder, UnreadablePicture, draw

HONEST_LINE = "Sandbox painter: drawn by rules from the words and the seed, not by an AI model."


async def draw_pictures(
    run: SandboxRun,
    size: tuple[int, int],
    *,
    count: int = 1,
    steps: int,
    seconds: float,
    extension: str = "webp",
    quality: int = 80,
    start: str = "image",
    strength: float = 0.8,
) -> None:
    """Draw `count` pictures of `size` (width, height) in pixels, with seeds counting up from a given or random seed.

    `start` names the input with a picture to begin from; `strength` 1 ignores the picture, 0 returns the picture.
    """
    seed = run.input.get("seed")
    if seed is None:
        seed = secrets.randbelow(2**31)
    run.log(f"Using seed: {seed}")
    run.log(HONEST_LINE)
    prompt = strip_fault_words(run.input.get("prompt", ""))
    picture = await run.read_file(start)
    orders = [
        PictureOrder(prompt, seed + n, size, "jpg" if extension == "jpeg" else extension, quality, picture, strength)
        for n in range(count)
    ]
    drawn = asyncio.gather(*(run.run_in_worker(draw, order) for order in orders))
    try:
        await run.run_steps(steps, seconds)
        contents = await drawn
    except UnreadablePicture as error:
        raise SandboxModelFailed(str(error)) from error
    finally:
        drawn.cancel()
    for order, content in zip(orders, contents, strict=True):
        run.add_file(content, order.extension)
    run.set_metric("image_count", count)
    run.set_metric("image_output_count", count)


# Flux: inputs as in replicate/cog-flux predict.py of 2025-07 and the models' version pages.

_NSFW = "All generated images contained NSFW content. Try running it again with a different prompt."
# The sizes of one megapixel.
SIZES = {
    "1:1": (1024, 1024),
    "16:9": (1344, 768),
    "21:9": (1536, 640),
    "3:2": (1216, 832),
    "2:3": (832, 1216),
    "4:5": (896, 1088),
    "5:4": (1088, 896),
    "3:4": (896, 1152),
    "4:3": (1152, 896),
    "9:16": (768, 1344),
    "9:21": (640, 1536),
}
_PRO_RATIOS = ("custom", "1:1", "16:9", "3:2", "2:3", "4:5", "5:4", "9:16", "3:4", "4:3")

_PROMPT = InputField("prompt", "string", "Prompt for generated image", required=True)
_SEED = InputField("seed", "integer", "Random seed. Set for reproducible generation")
_FORMAT = InputField(
    "output_format", "string", "Format of the output images", default="webp", choices=("webp", "jpg", "png")
)
_QUALITY = InputField(
    "output_quality", "integer", "Quality when saving the output images", default=80, minimum=0, maximum=100
)
_OPEN_SHARED = (
    _SEED,
    _FORMAT,
    _QUALITY,
    InputField("disable_safety_checker", "boolean", "Disable safety checker for generated images", default=False),
    InputField("go_fast", "boolean", "Run faster predictions with a quantized model", default=True),
    InputField("megapixels", "string", "Approximate number of megapixels", default="1", choices=("1", "0.25")),
)
_RATIO = InputField(
    "aspect_ratio", "string", "Aspect ratio for the generated image", default="1:1", choices=tuple(SIZES)
)
_COUNT = InputField("num_outputs", "integer", "Number of outputs to generate", default=1, minimum=1, maximum=4)


async def _draw_schnell(run: SandboxRun) -> None:
    await _draw_open(run, steps=run.input.get("num_inference_steps", 4), seconds=1.5)


async def _draw_dev(run: SandboxRun) -> None:
    await _draw_open(run, steps=run.input.get("num_inference_steps", 28), seconds=3.5)


async def _draw_open(run: SandboxRun, *, steps: int, seconds: float) -> None:
    width, height = SIZES[run.input.get("aspect_ratio", "1:1")]
    if run.input.get("megapixels") == "0.25":
        width, height = width // 2, height // 2
    await draw_pictures(
        run,
        (width, height),
        count=run.input.get("num_outputs", 1),
        steps=steps,
        seconds=seconds,
        extension=run.input.get("output_format", "webp"),
        quality=run.input.get("output_quality", 80),
        strength=run.input.get("prompt_strength", 0.8),
    )


async def _draw_pro(run: SandboxRun) -> None:
    ratio = run.input.get("aspect_ratio", "1:1")
    if ratio == "custom":
        size = (_round_to_32(run.input.get("width", 1024)), _round_to_32(run.input.get("height", 1024)))
    else:
        size = SIZES[ratio]
    await draw_pictures(
        run,
        size,
        steps=20,
        seconds=2.5,
        extension=run.input.get("output_format", "webp"),
        quality=run.input.get("output_quality", 80),
        start="image_prompt",
    )


def _round_to_32(pixels: int) -> int:
    return max(256, round(pixels / 32) * 32)


def _create_flux(
    name: str,
    usd: str,
    fields: tuple[InputField, ...],
    perform: Performance,
    output: SandboxOutputKind = SandboxOutputKind.FILES,
) -> SandboxModel:
    return create_model(
        f"black-forest-labs/{name}",
        "a painter that draws scenes by rules, in the place of a diffusion model.",
        fields,
        perform,
        output=output,
        nsfw_error=_NSFW,
        billing=(BillingTier({"image_output_count": usd}),),
    )


FLUX_SCHNELL = _create_flux(
    "flux-schnell",
    "0.003",
    (
        _PROMPT,
        _RATIO,
        _COUNT,
        InputField("num_inference_steps", "integer", "Number of denoising steps", default=4, minimum=1, maximum=4),
        *_OPEN_SHARED,
    ),
    _draw_schnell,
)

FLUX_DEV = _create_flux(
    "flux-dev",
    "0.025",
    (
        _PROMPT,
        _RATIO,
        InputField("image", "file", "Input image for image to image mode"),
        InputField(
            "prompt_strength", "number", "1.0 is full destruction of the image", default=0.8, minimum=0, maximum=1
        ),
        _COUNT,
        InputField("num_inference_steps", "integer", "Number of denoising steps", default=28, minimum=1, maximum=50),
        InputField("guidance", "number", "Guidance for generated image", default=3, minimum=0, maximum=10),
        *_OPEN_SHARED,
    ),
    _draw_dev,
)

FLUX_PRO = _create_flux(
    "flux-1.1-pro",
    "0.04",
    (
        _PROMPT,
        InputField("image_prompt", "file", "Image to use with Flux Redux"),
        InputField("aspect_ratio", "string", "Aspect ratio", default="1:1", choices=_PRO_RATIOS),
        InputField("width", "integer", "Only used when aspect_ratio=custom", minimum=256, maximum=1440),
        InputField("height", "integer", "Only used when aspect_ratio=custom", minimum=256, maximum=1440),
        InputField("safety_tolerance", "integer", "1 is most strict", default=2, minimum=1, maximum=6),
        _SEED,
        InputField("prompt_upsampling", "boolean", "Automatically modify the prompt", default=False),
        _FORMAT,
        _QUALITY,
    ),
    _draw_pro,
    SandboxOutputKind.FILE,
)


# SDXL: the schema as recorded in 2024-10.

SCHEDULERS = ("DDIM", "DPMSolverMultistep", "HeunDiscrete", "KarrasDPM", "K_EULER_ANCESTRAL", "K_EULER", "PNDM")
_REFINERS = ("no_refiner", "expert_ensemble_refiner", "base_image_refiner")
_PIXELS_AT_MOST = 2048 * 2048
_SIDE_AT_LEAST = 64


async def _draw(run: SandboxRun) -> None:
    width, height = _clamp_size(run.input.get("width", 1024), run.input.get("height", 1024))
    await draw_pictures(
        run,
        (width, height),
        count=run.input.get("num_outputs", 1),
        steps=min(run.input.get("num_inference_steps", 50), 100),
        seconds=4.0,
        extension="png",
        strength=run.input.get("prompt_strength", 0.8),
    )


def _clamp_size(width: int, height: int) -> tuple[int, int]:
    """Bound a side: the schema has no bounds, the machine has. The shape stays."""
    scale = min(1.0, (_PIXELS_AT_MOST / max(1, width * height)) ** 0.5)
    return max(_SIDE_AT_LEAST, int(width * scale)), max(_SIDE_AT_LEAST, int(height * scale))


SDXL = SandboxModel(
    owner="stability-ai",
    name="sdxl",
    version="7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc",
    description="Sandbox: a painter that draws scenes by rules, in the place of a diffusion model.",
    fields=(
        InputField("prompt", "string", "Input prompt", default="An astronaut riding a rainbow unicorn"),
        InputField("negative_prompt", "string", "Input Negative Prompt", default=""),
        InputField("image", "file", "Input image for img2img or inpaint mode"),
        InputField("mask", "file", "Input mask for inpaint mode"),
        InputField("width", "integer", "Width of output image", default=1024),
        InputField("height", "integer", "Height of output image", default=1024),
        InputField("num_outputs", "integer", "Number of images to output", default=1, minimum=1, maximum=4),
        InputField("scheduler", "string", "scheduler", default="K_EULER", choices=SCHEDULERS),
        InputField("num_inference_steps", "integer", "Number of denoising steps", default=50, minimum=1, maximum=500),
        InputField(
            "guidance_scale", "number", "Scale for classifier-free guidance", default=7.5, minimum=1, maximum=50
        ),
        InputField("prompt_strength", "number", "Prompt strength with img2img", default=0.8, minimum=0, maximum=1),
        InputField("seed", "integer", "Random seed. Leave blank to randomize the seed"),
        InputField("refine", "string", "Which refine style to use", default="no_refiner", choices=_REFINERS),
        InputField("high_noise_frac", "number", "The fraction of noise to use", default=0.8, minimum=0, maximum=1),
        InputField("refine_steps", "integer", "For base_image_refiner, the number of steps to refine"),
        InputField("apply_watermark", "boolean", "Applies a watermark", default=True),
        InputField("lora_scale", "number", "LoRA additive scale", default=0.6, minimum=0, maximum=1),
        InputField("replicate_weights", "string", "Replicate LoRA weights to use"),
        InputField("disable_safety_checker", "boolean", "Disable safety checker", default=False),
    ),
    output=SandboxOutputKind.FILES,
    perform=_draw,
    training_fields=(
        InputField("input_images", "file", "A .zip or .tar file of the images to fine-tune on", required=True),
        InputField("token_string", "string", "A unique string for the concept", default="TOK"),
        InputField("caption_prefix", "string", "Text to begin every caption with"),
        InputField("max_train_steps", "integer", "Number of steps, whatever the epochs say", default=1000),
        InputField("resolution", "integer", "Square pixel resolution of the images", default=768),
        InputField("is_lora", "boolean", "Train a LoRA, not all of the model", default=True),
        InputField("seed", "integer", "Random seed for reproducible training"),
    ),
    nsfw_error="NSFW content detected. Try running it again, or try a different prompt.",
)
