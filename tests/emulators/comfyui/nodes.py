"""The classes of nodes that the stand-in has: inputs with types and bounds, and their work on Pillow pictures."""

import hashlib
import io
import math
import struct
import wave
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageChops, ImageFilter

CHECKPOINTS = ("sd_xl_base_1.0.safetensors",)
SAMPLERS = ("euler", "dpmpp_2m")
SCHEDULERS = ("normal", "karras")
METHODS = ("nearest-exact", "bilinear", "lanczos")

InputType = str | tuple[str, ...]
"""A name of a type, or the values of a choice."""


@dataclass(frozen=True)
class NodeClass:
    """One class, as `/object_info` describes classes."""

    name: str
    work: Callable[..., Any]
    """Takes the inputs by name, returns the outputs as a tuple, or the `ui` object of an output node."""
    required: Mapping[str, tuple[InputType, Mapping[str, Any]]] = field(default_factory=dict)
    optional: Mapping[str, tuple[InputType, Mapping[str, Any]]] = field(default_factory=dict)
    outputs: tuple[str, ...] = ()
    is_output: bool = False

    def to_info(self) -> dict[str, Any]:
        """Return the description in `/object_info/{class}`."""
        return {
            "input": {"required": _describe(self.required), "optional": _describe(self.optional)},
            "input_order": {"required": list(self.required), "optional": list(self.optional)},
            "output": list(self.outputs),
            "name": self.name,
            "output_node": self.is_output,
        }


@dataclass(frozen=True)
class Latent:
    """An empty or a drawn picture before the decoding."""

    width: int
    height: int
    count: int
    pictures: tuple[Image.Image, ...] = ()


def draw_picture(prompt: str, seed: int, width: int, height: int, finished: float) -> Image.Image:
    """Return the picture of a prompt and a seed, blurred and noisy as long as unfinished (0 to 1)."""
    digest = hashlib.sha256(f"{prompt}\n{seed}".encode("utf-8", "surrogatepass")).digest()
    small = Image.new("RGB", (8, 8))
    small.putdata([tuple(digest[(x * 3 + c) % 32] for c in range(3)) for x in range(64)])
    picture = small.resize((width, height), Image.Resampling.BICUBIC)
    if finished >= 1:
        return picture
    noise = Image.effect_noise((width, height), 90).convert("RGB")
    return Image.blend(noise, picture.filter(ImageFilter.GaussianBlur(4)), max(0.0, finished))


def make_sound(seconds: float = 1.0) -> bytes:
    """Return a tone as a WAV file."""
    buffer, rate = io.BytesIO(), 8000
    with wave.open(buffer, "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        samples = [int(9000 * math.sin(n / 8)) for n in range(int(rate * seconds))]
        file.writeframes(struct.pack(f"<{len(samples)}h", *samples))
    return buffer.getvalue()


def make_video() -> bytes:
    """Return the head of an MP4 file, enough to be told by its first bytes."""
    return struct.pack(">I4s4sI", 16, b"ftyp", b"isom", 512) + struct.pack(">I4s", 8, b"mdat") + bytes(64)


def _describe(inputs: Mapping[str, tuple[InputType, Mapping[str, Any]]]) -> dict[str, Any]:
    return {
        name: [list(kind) if isinstance(kind, tuple) else kind, dict(more)] for name, (kind, more) in inputs.items()
    }


_SIDE = ("INT", {"default": 512, "min": 16, "max": 16384, "step": 8})
_SAMPLER: dict[str, tuple[InputType, Mapping[str, Any]]] = {
    "model": ("MODEL", {}),
    "seed": ("INT", {"default": 0, "min": 0, "max": 0xFFFFFFFFFFFFFFFF}),
    "steps": ("INT", {"default": 20, "min": 1, "max": 10000}),
    "cfg": ("FLOAT", {"default": 8.0, "min": 0.0, "max": 100.0}),
    "sampler_name": (SAMPLERS, {}),
    "scheduler": (SCHEDULERS, {}),
    "positive": ("CONDITIONING", {}),
    "negative": ("CONDITIONING", {}),
    "latent_image": ("LATENT", {}),
    "denoise": ("FLOAT", {"default": 1.0, "min": 0.0, "max": 1.0}),
}


def _sample(inputs: Mapping[str, Any]) -> tuple[Latent]:
    latent: Latent = inputs["latent_image"]
    pictures = tuple(
        draw_picture(inputs["positive"], inputs["seed"] + n, latent.width, latent.height, 1.0)
        for n in range(latent.count)
    )
    return (Latent(latent.width, latent.height, latent.count, pictures),)


def _scale(inputs: Mapping[str, Any]) -> tuple[list[Image.Image]]:
    return (
        [
            ImageChops.duplicate(p).resize((int(p.width * inputs["scale_by"]), int(p.height * inputs["scale_by"])))
            for p in inputs["image"]
        ],
    )


def _save(key: str) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    # The executor writes the files and names them: a node of the class only says which.
    return lambda inputs: {key: inputs.get("images") or inputs.get("audio") or inputs.get("video")}


_LIST = (
    NodeClass(
        "CheckpointLoaderSimple",
        lambda inputs: (inputs["ckpt_name"], "clip", "vae"),
        {"ckpt_name": (CHECKPOINTS, {})},
        outputs=("MODEL", "CLIP", "VAE"),
    ),
    NodeClass(
        "CLIPTextEncode",
        lambda inputs: (inputs["text"],),
        {"text": ("STRING", {"multiline": True}), "clip": ("CLIP", {})},
        outputs=("CONDITIONING",),
    ),
    NodeClass(
        "EmptyLatentImage",
        lambda inputs: (Latent(inputs["width"], inputs["height"], inputs["batch_size"]),),
        {"width": _SIDE, "height": _SIDE, "batch_size": ("INT", {"default": 1, "min": 1, "max": 4096})},
        outputs=("LATENT",),
    ),
    NodeClass("KSampler", _sample, _SAMPLER, outputs=("LATENT",)),
    NodeClass(
        "VAEDecode",
        lambda inputs: (list(inputs["samples"].pictures),),
        {"samples": ("LATENT", {}), "vae": ("VAE", {})},
        outputs=("IMAGE",),
    ),
    NodeClass(
        "VAEEncode",
        lambda inputs: (Latent(inputs["pixels"][0].width, inputs["pixels"][0].height, len(inputs["pixels"])),),
        {"pixels": ("IMAGE", {}), "vae": ("VAE", {})},
        outputs=("LATENT",),
    ),
    NodeClass(
        "LoadImage",
        lambda inputs: ([inputs["image"]], None),
        {"image": ((), {"image_upload": True})},
        outputs=("IMAGE", "MASK"),
    ),
    NodeClass(
        "ImageScaleBy",
        _scale,
        {"image": ("IMAGE", {}), "upscale_method": (METHODS, {}), "scale_by": ("FLOAT", {"min": 0.01, "max": 8.0})},
        outputs=("IMAGE",),
    ),
    NodeClass(
        "SaveImage",
        _save("images"),
        {"images": ("IMAGE", {}), "filename_prefix": ("STRING", {"default": "ComfyUI"})},
        is_output=True,
    ),
    NodeClass("PreviewImage", _save("images"), {"images": ("IMAGE", {})}, is_output=True),
    NodeClass(
        "EmptyAudio",
        lambda inputs: (make_sound(inputs["seconds"]),),
        {"seconds": ("FLOAT", {"min": 0.1, "max": 60.0})},
        outputs=("AUDIO",),
    ),
    NodeClass("SaveAudio", _save("audio"), {"audio": ("AUDIO", {}), "filename_prefix": ("STRING", {})}, is_output=True),
    NodeClass("CreateVideo", lambda inputs: (make_video(),), {"images": ("IMAGE", {})}, outputs=("VIDEO",)),
    NodeClass(
        "SaveVideo", _save("images"), {"video": ("VIDEO", {}), "filename_prefix": ("STRING", {})}, is_output=True
    ),
    NodeClass(
        "VHS_VideoCombine",
        lambda inputs: {"gifs": make_video()},
        {"images": ("IMAGE", {}), "filename_prefix": ("STRING", {})},
        is_output=True,
    ),
)

NODE_CLASSES: dict[str, NodeClass] = {node.name: node for node in _LIST}
