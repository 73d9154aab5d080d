"""stability-ai/sdxl: pictures as PNG, billed by the second. Schema as recorded in 2024-10."""

from bot.sandbox.model import InputField, SandboxModel, SandboxOutputKind, SandboxRun
from bot.sandbox.models.drawing import draw_pictures

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
