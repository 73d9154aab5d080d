"""The options that commands offer a model, and the names that models have for them, the likeliest first."""

from collections.abc import Mapping

from bot.core.models import Task
from bot.core.published import FieldKind

OPTION_KINDS: Mapping[str, FieldKind] = {
    "prompt": FieldKind.TEXT,
    "aspect": FieldKind.TEXT,
    "count": FieldKind.INTEGER,
    "seed": FieldKind.INTEGER,
    "negative": FieldKind.TEXT,
    "steps": FieldKind.INTEGER,
    "guidance": FieldKind.NUMBER,
    "format": FieldKind.TEXT,
    "image": FieldKind.FILE,
    "strength": FieldKind.NUMBER,
    "scale": FieldKind.NUMBER,
    "face_enhance": FieldKind.BOOLEAN,
    "question": FieldKind.TEXT,
    "temperature": FieldKind.NUMBER,
    "max_tokens": FieldKind.INTEGER,
}

_IMAGE_FIELDS = ("image", "input_image", "img", "image_path", "init_image", "image_prompt", "image_url")

FIELD_NAMES: Mapping[Task, Mapping[str, tuple[str, ...]]] = {
    Task.IMAGINE: {
        "prompt": ("prompt", "text_prompt", "text", "caption"),
        "aspect": ("aspect_ratio", "aspect"),
        "count": ("num_outputs", "num_images", "number_of_images", "num_samples", "n_images", "n"),
        "seed": ("seed",),
        "negative": ("negative_prompt", "n_prompt"),
        "steps": ("num_inference_steps", "inference_steps", "num_steps", "ddim_steps", "steps"),
        "guidance": ("guidance_scale", "guidance", "cfg_scale", "cfg"),
        "format": ("output_format", "format"),
        "image": _IMAGE_FIELDS,
        "strength": ("prompt_strength", "denoising_strength", "strength"),
    },
    Task.UPSCALE: {
        "image": _IMAGE_FIELDS,
        "scale": ("scale", "scale_factor", "upscale_factor", "upscale", "outscale", "rescaling_factor"),
        "face_enhance": ("face_enhance", "face_enhancement"),
    },
    Task.CAPTION: {"image": _IMAGE_FIELDS, "question": ("question", "prompt", "query", "text")},
    Task.CHAT: {
        "prompt": ("prompt", "message", "input", "text"),
        "temperature": ("temperature",),
        "max_tokens": ("max_tokens", "max_new_tokens", "max_completion_tokens", "max_output_tokens", "max_length"),
    },
}
"""`strength` is how far to go from the picture. A model's `image_prompt_strength` says the opposite: not named here."""

OPTION_BOUNDS: Mapping[str, tuple[float | None, float | None]] = {
    "count": (1, 4),
    "steps": (1, 100),
    "scale": (1, 10),
    "max_tokens": (1, 4096),
}
"""What commands let people ask for, where a model would allow more: it is money."""
