"""black-forest-labs: flux-schnell and flux-dev (a list of pictures) and flux-1.1-pro (a single picture).

Inputs as in replicate/cog-flux predict.py of 2025-07 and the models' version pages.
"""

from bot.sandbox.model import (
    BillingTier,
    InputField,
    Performance,
    SandboxModel,
    SandboxOutputKind,
    SandboxRun,
    create_model,
)
from bot.sandbox.models.drawing import draw_pictures

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
