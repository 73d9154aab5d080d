"""Models of 2026 that their makers host: pictures from words, edits and processing, each performed by rules.

Fields and prices as in public registries of 2026-11. Pictures are drawn with at most 640 × 640 pixels, which takes a
fraction of a second, and metered as the real model would meter the request.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from bot.sandbox.faults import SandboxModelFailed
from bot.sandbox.input_files import UnreadablePicture, open_picture
from bot.sandbox.model import BillingTier, InputField, SandboxModel, SandboxOutputKind, SandboxRun
from bot.sandbox.models.blip import measure
from bot.sandbox.models.drawing import SCHEDULERS, draw_pictures
from bot.sandbox.models.editing import edit_pictures, process_picture
from bot.sandbox.models.hosting import (
    choice_field,
    create_hosted_model,
    file_field,
    files_field,
    flag_field,
    integer_field,
    number_field,
    price_by,
    price_per,
    text_field,
)
from bot.sandbox.models.real_esrgan import TooManyPixels, enlarge
from bot.sandbox.painter.editor import OUTPAINTS, remove_background, restore

_MEGAPIXEL = 1_000_000
_NAMED_MEGAPIXEL = 1024 * 1024
_MAX_DRAWN_PIXELS = 640 * 640
_COUNT_FIELDS = ("num_outputs", "number_of_images", "num_images")
_REFERENCE_FIELDS = ("images", "input_images", "image_input", "image", "input_image")
_RATIO_LIST = ("1:1", "16:9", "9:16", "3:2", "2:3", "4:3", "3:4", "4:5", "5:4", "21:9", "9:21")
_SIZE_PAIR = re.compile(r"(\d+)[x*](\d+)")
_PAINTER = "a painter that draws scenes by rules, in the place of a diffusion model."
_FILTER = "classical filters, in the place of a model."

Prices = Mapping[str, str]


# Fields.

_PROMPT = text_field(required=True)
_SEED = integer_field("seed")
_RATIO = choice_field("aspect_ratio", "1:1", "custom", "match_input_image", *_RATIO_LIST[1:])
_SIDES = (integer_field("width", None, 256, 2048), integer_field("height", None, 256, 2048))
_WEBP = choice_field("output_format", "webp", "jpg", "png")
_JPG = choice_field("output_format", "jpg", "png")
_MEGAPIXELS = ("1", "0.25", "0.5", "2", "4")
_RESOLUTION_MP = choice_field("resolution", "1 MP", "0.5 MP", "2 MP", "4 MP", "match_input_image")
_RESOLUTION_K = choice_field("resolution", "1K", "2K", "4K")
_TOLERANCE = integer_field("safety_tolerance", 2, 1, 5)
_OUTPUT_QUALITY = integer_field("output_quality", 80, 0, 100)


# Runs.


def _get_size(run: SandboxRun) -> tuple[int, int]:
    """Return width and height as requested: two fields, a pair in a text, or an area and a shape."""
    given = run.input
    width, height, size = given.get("width"), given.get("height"), str(given.get("size", ""))
    if width and height:
        return int(width), int(height)
    if pair := _SIZE_PAIR.fullmatch(size):
        return int(pair[1]), int(pair[2])
    pixels = _get_area(given, size) * _NAMED_MEGAPIXEL
    across, _, down = str(given.get("aspect_ratio", "1:1")).partition(":")
    ratio = int(across) / int(down) if down else 1.0
    return round((pixels * ratio) ** 0.5), round((pixels / ratio) ** 0.5)


def _get_area(given: Mapping[str, Any], size: str) -> float:
    """Return the requested area in megapixels."""
    named = str(given.get("resolution") or given.get("output_megapixels") or given.get("megapixels") or size)
    digits = re.match(r"[\d.]+", named)
    if digits is None:
        return 1.0
    return float(digits[0]) ** 2 if named.endswith("K") else float(digits[0])


async def _draw(run: SandboxRun) -> None:
    width, height = _get_size(run)
    scale = min(1.0, (_MAX_DRAWN_PIXELS / (width * height)) ** 0.5)
    count = next((int(run.input[name]) for name in _COUNT_FIELDS if name in run.input), 1)
    references = await _read_references(run)
    if references:
        mask = await run.read_file("mask")
        await edit_pictures(run, references, mask)
    else:
        size = max(64, int(width * scale)), max(64, int(height * scale))
        extension = str(run.input.get("output_format", "webp"))
        await draw_pictures(run, size, count=count, steps=8, seconds=2.0, extension=extension, start="")
    run.set_metric("image_output_count", count)
    run.set_metric("image_output_megapixel_count", round(width * height / _MEGAPIXEL * count, 6))
    run.set_metric("image_input_megapixel_count", _count_megapixels(references))


async def _fill_or_extend(run: SandboxRun) -> None:
    """Repaint the white part of a mask, or paint beyond the edges of the picture."""
    picture, mask = await run.read_file("image"), await run.read_file("mask")
    outpaint = str(run.input.get("outpaint", "None"))
    if mask is None and outpaint == "None":
        raise SandboxModelFailed("Input validation error: a mask or an outpaint is required")
    await edit_pictures(run, [picture] if picture else [], mask, outpaint=outpaint)


async def _read_references(run: SandboxRun) -> list[bytes]:
    for name in _REFERENCE_FIELDS:
        value = run.input.get(name)
        if isinstance(value, list):
            return await run.read_files(name)
        if value and (content := await run.read_file(name)) is not None:
            return [content]
    return []


def _count_megapixels(pictures: Sequence[bytes]) -> float:
    """Return the size of all pictures, each rounded up to whole megapixels."""
    sizes = [open_picture(content).size for content in pictures]
    return float(sum(-(-width * height // _MEGAPIXEL) for width, height in sizes))


async def _upscale(run: SandboxRun) -> None:
    picture = await run.read_file("image")
    if picture is None:
        raise SandboxModelFailed("Input validation error: image is required")
    scale = float(str(run.input.get("upscale_factor") or run.input.get("scale_factor") or 2).rstrip("x"))
    try:
        enlarged = await run.run_in_worker(enlarge, picture, scale)
    except (TooManyPixels, UnreadablePicture) as error:
        raise SandboxModelFailed(str(error)) from error
    await run.run_steps(4, 1.2)
    run.add_file(enlarged, "png")
    run.set_metric("image_output_count", 1)


async def _remove_background(run: SandboxRun) -> None:
    await process_picture(run, await run.read_file("image"), remove_background)


async def _restore(run: SandboxRun) -> None:
    await process_picture(run, await run.read_file("image"), restore)


async def _describe(run: SandboxRun) -> None:
    run.text = await measure(run, str(run.input.get("prompt", "")))


# Models.


def _per_image(usd: str) -> tuple[BillingTier, ...]:
    return price_per("image_output_count", usd)


def _by(name: str, usd_by_value: Mapping[str, str]) -> tuple[BillingTier, ...]:
    return price_by("image_output_count", name, usd_by_value)


def _painter(
    ref: str, billing: tuple[BillingTier, ...], *fields: InputField, output: SandboxOutputKind = SandboxOutputKind.FILE
) -> SandboxModel:
    return create_hosted_model(ref, _PAINTER, _draw, (_PROMPT, *fields), billing, output=output)


def _flux_2(name: str, prices: Prices, *fields: InputField) -> SandboxModel:
    return _painter(
        f"black-forest-labs/flux-2-{name}",
        (BillingTier(prices),),
        files_field("input_images"),
        _RATIO,
        _RESOLUTION_MP,
        *_SIDES,
        _TOLERANCE,
        _SEED,
        _WEBP,
        _OUTPUT_QUALITY,
        *fields,
    )


def _create_flux() -> list[SandboxModel]:
    dev = {"image_input_megapixel_count": "0.014", "image_output_megapixel_count": "0.014"}
    fast = dict.fromkeys(dev, "0.012")
    pro, most = {"run": "0.015", **dict.fromkeys(dev, "0.015")}, {"run": "0.04", **dict.fromkeys(dev, "0.03")}
    return [
        _painter(
            "black-forest-labs/flux-2-klein-4b",
            _per_image("0.001"),
            files_field("images"),
            choice_field("output_megapixels", *_MEGAPIXELS),
            _RATIO,
            _SEED,
        ),
        _painter(
            "black-forest-labs/flux-2-klein-9b",
            _per_image("0.011"),
            files_field("images"),
            choice_field("megapixels", *_MEGAPIXELS),
            _RATIO,
            flag_field("go_fast", default=True),
            _SEED,
            output=SandboxOutputKind.FILES,
        ),
        _painter(
            "black-forest-labs/flux-2-dev",
            (BillingTier(fast, {"go_fast": True}), BillingTier(dev, {"go_fast": False})),
            files_field("input_images"),
            _RATIO,
            *_SIDES,
            flag_field("go_fast", default=True),
            _SEED,
            _WEBP,
        ),
        _flux_2("pro", pro),
        _flux_2("max", most),
        _flux_2(
            "flex",
            dict.fromkeys(dev, "0.06"),
            integer_field("steps", 30, 1, 50),
            number_field("guidance", 4.5, 1.5, 10),
            flag_field("prompt_upsampling"),
        ),
        _painter(
            "black-forest-labs/flux-kontext-max", _per_image("0.08"), file_field("input_image"), _RATIO, _SEED, _JPG
        ),
        _create_fill_pro(),
    ]


def _create_fill_pro() -> SandboxModel:
    return create_hosted_model(
        "black-forest-labs/flux-fill-pro",
        _PAINTER,
        _fill_or_extend,
        (
            _PROMPT,
            file_field(required=True),
            file_field("mask"),
            choice_field("outpaint", "None", "Make square", *OUTPAINTS),
            integer_field("steps", 50, 15, 50),
            number_field("guidance", 60, 1.5, 100),
            flag_field("prompt_upsampling"),
            _SEED,
            _JPG,
            integer_field("safety_tolerance", 2, 1, 6),
        ),
        _per_image("0.05"),
    )


def _create_google() -> list[SandboxModel]:
    pictures, searches = files_field("image_input"), (flag_field("google_search"), flag_field("image_search"))
    by_size = {"1K": "0.067", "2K": "0.101", "4K": "0.151"}
    return [
        _painter("google/nano-banana", _per_image("0.039"), pictures, _RATIO, _JPG),
        _painter("google/nano-banana-2-lite", _per_image("0.034"), pictures, _RATIO, _JPG),
        _painter("google/nano-banana-2", _by("resolution", by_size), pictures, _RATIO, _RESOLUTION_K, *searches, _JPG),
        _painter(
            "google/nano-banana-pro",
            _by("resolution", {"1K": "0.15", "2K": "0.15", "4K": "0.30"}),
            pictures,
            _RATIO,
            _RESOLUTION_K,
            text_field("safety_filter_level"),
            flag_field("allow_fallback_model"),
            _JPG,
        ),
    ]


def _seedream(name: str, usd: str, sizes: tuple[str, ...], *fields: InputField) -> SandboxModel:
    return _painter(
        f"bytedance/seedream-{name}",
        _per_image(usd) if usd else (),
        files_field("image_input"),
        choice_field("size", *sizes),
        _RATIO,
        *fields,
        output=SandboxOutputKind.FILES,
    )


def _create_bytedance() -> list[SandboxModel]:
    jpeg = choice_field("output_format", "png", "jpeg")
    return [
        _seedream(
            "4",
            "0.03",
            ("2K", "1K", "4K", "custom"),
            *_SIDES,
            integer_field("max_images", 1, 1, 15),
            flag_field("enhance_prompt"),
        ),
        _seedream("4.5", "0.04", ("2K", "4K", "custom"), *_SIDES, integer_field("max_images", 1, 1, 15)),
        _seedream("5-lite", "0.035", ("2K", "3K"), jpeg),
        _seedream("5-pro", "", ("1K", "2K"), jpeg),
        create_hosted_model(
            "bytedance/sdxl-lightning-4step",
            _PAINTER,
            _draw,
            (
                text_field(default="self-portrait"),
                text_field("negative_prompt"),
                integer_field("width", 1024, 256, 1280),
                integer_field("height", 1024, 256, 1280),
                integer_field("num_outputs", 1, 1, 4),
                integer_field("num_inference_steps", 4, 1, 10),
                number_field("guidance_scale", 0, 0, 50),
                choice_field("scheduler", *SCHEDULERS, default="K_EULER"),
                _SEED,
            ),
            output=SandboxOutputKind.FILES,
            version="6f7a773af6fc3e8de9d5a3c00be77c17308914bf67772726aff83496ba1e3bbe",
        ),
    ]


def _gpt_image(name: str, usd_by_quality: Mapping[str, str]) -> SandboxModel:
    return _painter(
        f"openai/gpt-image-{name}",
        _by("quality", usd_by_quality),
        files_field("input_images"),
        choice_field("quality", *usd_by_quality, default="auto"),
        choice_field("aspect_ratio", "1:1", "3:2", "2:3", "3840x2160"),
        choice_field("background", "auto", "opaque", "transparent"),
        choice_field("moderation", "auto", "low"),
        integer_field("number_of_images", 1, 1, 10),
        choice_field("output_format", "webp", "png", "jpeg"),
        integer_field("output_compression", 90, 0, 100),
        output=SandboxOutputKind.FILES,
    )


def _create_openai_pictures() -> list[SandboxModel]:
    newest = {"low": "0.012", "medium": "0.047", "high": "0.128", "xhigh": "0.25", "max": "0.50", "auto": "0.25"}
    return [
        _gpt_image("2", {"low": "0.012", "medium": "0.047", "high": "0.128", "auto": "0.128"}),
        _gpt_image("2.5-flare", newest),
        _gpt_image("2.5-sunburst", newest),
        _gpt_image("1.5", {"low": "0.013", "medium": "0.05", "high": "0.136", "auto": "0.136"}),
    ]


def _create_other_pictures() -> list[SandboxModel]:
    ideogram = {"low": "0.03", "medium": "0.06", "high": "0.10", "very_low-with-source-images": "8.00"}
    qwen = (
        file_field(),
        number_field("strength", 0.9, 0, 1),
        text_field("negative_prompt"),
        _RATIO,
        number_field("guidance", 3, 0, 10),
        flag_field("go_fast", default=True),
        _SEED,
        _WEBP,
    )
    return [
        _painter(
            "prunaai/p-image",
            _per_image("0.005"),
            _RATIO,
            _SEED,
            flag_field("prompt_upsampling"),
            flag_field("disable_safety_checker"),
            *_SIDES,
        ),
        _painter(
            "prunaai/z-image-turbo",
            _per_image("0.005"),
            integer_field("width", 1024, 64, 2048),
            integer_field("height", 1024, 64, 2048),
            _SEED,
            _WEBP,
        ),
        _painter(
            "ideogram-ai/ideogram-4-5",
            _by("quality", ideogram),
            files_field("images"),
            file_field("mask"),
            text_field("size"),
            choice_field("quality", "medium", "low", "high", "very_low"),
            integer_field("num_images", 1, 1, 8),
            _SEED,
            output=SandboxOutputKind.FILES,
        ),
        _painter("ideogram-ai/ideogram-v3-turbo", _per_image("0.03"), _RATIO, _SEED),
        _painter("qwen/qwen-image", _per_image("0.025"), integer_field("num_inference_steps", 30, 1, 50), *qwen),
        _painter("qwen/qwen-image-2512", _per_image("0.02"), integer_field("num_inference_steps", 40, 20, 50), *qwen),
        _painter("qwen/qwen-image-edit-2511", _per_image("0.03"), files_field("image", required=True), _RATIO, _SEED),
        _painter("xai/grok-imagine-image", _per_image("0.02"), file_field(), _RATIO),
        _painter("recraft-ai/recraft-v4", _per_image("0.04"), text_field("size"), _RATIO),
        _painter(
            "wan-video/wan-2.7-image-pro",
            _per_image("0.03"),
            choice_field("size", "2048*2048", "1536*2048", "2048*1536"),
        ),
    ]


def _create_upscalers() -> list[SandboxModel]:
    picture = file_field(required=True)
    return [
        create_hosted_model(
            "topazlabs/image-upscale",
            _FILTER,
            _upscale,
            (picture, choice_field("upscale_factor", "2x", "4x", "6x"), flag_field("face_enhancement")),
        ),
        create_hosted_model("recraft-ai/recraft-crisp-upscale", _FILTER, _upscale, (picture,), _per_image("0.006")),
        create_hosted_model(
            "philz1337x/clarity-upscaler",
            _FILTER,
            _upscale,
            (
                picture,
                text_field(default="masterpiece"),
                number_field("scale_factor", 2),
                number_field("creativity", 0.35, 0, 1),
            ),
            version="dfad41707589d68ecdccd1dfa600d55a208f9310748e44bfe35b4a6291453d5e",
            output=SandboxOutputKind.FILES,
        ),
    ]


def _create_menders() -> list[SandboxModel]:
    picture = file_field(required=True)
    return [
        create_hosted_model(
            "recraft-ai/recraft-remove-background", _FILTER, _remove_background, (picture,), _per_image("0.01")
        ),
        create_hosted_model(
            "bria/remove-background",
            _FILTER,
            _remove_background,
            (picture, flag_field("preserve_alpha", default=True), flag_field("content_moderation")),
            _per_image("0.018"),
        ),
        create_hosted_model(
            "851-labs/background-remover",
            _FILTER,
            _remove_background,
            (picture, choice_field("format", "png", "jpg"), number_field("threshold", 0), flag_field("reverse")),
            version="a029dff38972b5fda4ec5d75d7d1cd25aeff621d2cf4946a41055d7db66b80bc",
        ),
        create_hosted_model(
            "lucataco/codeformer",
            _FILTER,
            _restore,
            (
                picture,
                number_field("upscale", 2),
                number_field("codeformer_fidelity", 0.5, 0, 1),
                flag_field("face_upsample", default=True),
                flag_field("background_enhance", default=True),
            ),
            version="78f2bab438ab0ffc85a68cdfd316a2ecd3994b5dd26aa6b3d203357b45e5eb1b",
        ),
        create_hosted_model(
            "lucataco/moondream2",
            _FILTER,
            _describe,
            (picture, text_field(default="Describe this image")),
            output=SandboxOutputKind.TEXT,
            version="72ccb656353c348c1385df54b237eeb7bfa874bf11486cf0b9473e691b662d31",
        ),
        create_hosted_model(
            "abiruyt/text-extract-ocr",
            _FILTER,
            _describe,
            (picture,),
            output=SandboxOutputKind.TEXT,
            version="a524caeaa23495bc9edc805ab08ab5fe943afd3febed884a4f3747aa32e9cd61",
        ),
    ]


def create_hosted_models() -> list[SandboxModel]:
    return [
        *_create_flux(),
        *_create_google(),
        *_create_bytedance(),
        *_create_openai_pictures(),
        *_create_other_pictures(),
        *_create_upscalers(),
        *_create_menders(),
    ]
