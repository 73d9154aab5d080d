"""Video models of 2026, performed by the painter's camera: a short silent WebM, metered as the real model would be.

Fields and prices as in public registries of 2026-11. Where only the span of a price is on record, the dearest counts.
"""

import contextlib
import re
import secrets
import struct
from collections.abc import Mapping
from typing import Any

from bot.sandbox.faults import SandboxModelFailed, strip_fault_words
from bot.sandbox.input_files import UnreadablePicture
from bot.sandbox.model import BillingTier, InputField, SandboxModel, SandboxOutputKind, SandboxRun
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
from bot.sandbox.painter.film import FilmOrder, shoot, take_still
from bot.sandbox.sound.wav import UnreadableSound, measure_wav

HONEST_LINE = "Sandbox painter: a camera moves over one scene, drawn by rules, without sound; not an AI model."
_FILM = "a camera over a scene drawn by rules, in the place of a video model."
_FIRST_FIELDS = ("image", "start_image", "first_frame", "first_frame_image")
_LAST_FIELDS = ("last_frame_image", "last_frame", "last_image", "end_image")
_SECOND = "video_output_duration_seconds"
_WEBM_DURATION = re.compile(rb"\x44\x89(?:\x88|\x01\x00{6}\x08)(.{8})", re.DOTALL)
_DEFAULT_SECONDS = 5.0
_STEPS = 10
_MODEL_SECONDS = 6.0

_PROMPT = text_field(required=True)
_SEED = integer_field("seed")
_RATIO = choice_field("aspect_ratio", "16:9", "9:16", "1:1", "4:3", "3:4")
_SOUND = flag_field("generate_audio", default=True)


async def _shoot_with_still(run: SandboxRun) -> None:
    await _shoot(run, shows_still=True)


async def _shoot(run: SandboxRun, *, shows_still: bool = False) -> None:
    given = run.input
    seconds = await _measure_source(run) or _get_seconds(given)
    seed = given.get("seed")
    seed = secrets.randbelow(2**31) if seed is None else int(seed)
    run.log(f"Using seed: {seed}")
    run.log(HONEST_LINE)
    order = FilmOrder(
        prompt=strip_fault_words(str(given.get("prompt", ""))),
        seed=seed,
        seconds=seconds,
        ratio=_get_ratio(given),
        first=await _read_first(run, _FIRST_FIELDS),
        last=await _read_first(run, _LAST_FIELDS),
    )
    try:
        if shows_still:
            run.show_file(await run.run_in_worker(take_still, order), "png")
        film = await run.run_in_worker(shoot, order)
    except UnreadablePicture as error:
        raise SandboxModelFailed(str(error)) from error
    await run.run_steps(_STEPS, _MODEL_SECONDS)
    run.add_file(film, "webm")
    run.set_metric("video_output_count", 1)
    run.set_metric(_SECOND, seconds)


async def _measure_source(run: SandboxRun) -> float | None:
    """Return the length of the given video or sound where the request names no length: the film is as long."""
    if "duration" in run.input:
        return None
    if (video := await run.read_file("video")) is not None:
        found = _WEBM_DURATION.search(video)
        return struct.unpack(">d", found[1])[0] / 1000 if found else None
    if (sound := await run.read_file("audio")) is not None:
        with contextlib.suppress(UnreadableSound):
            return measure_wav(sound).seconds
    return None


def _get_seconds(given: Mapping[str, Any]) -> float:
    if "duration" in given:
        return float(str(given["duration"]).rstrip("s"))
    return int(given["num_frames"]) / float(given.get("fps") or 16) if "num_frames" in given else _DEFAULT_SECONDS


def _get_ratio(given: Mapping[str, Any]) -> float:
    pair = re.fullmatch(r"(\d+):(\d+)", str(given.get("aspect_ratio", "")))
    if pair:
        return min(3.0, max(1 / 3, int(pair[1]) / int(pair[2])))
    width, height = given.get("width"), given.get("height")
    return min(3.0, max(1 / 3, width / height)) if width and height else 16 / 9


async def _read_first(run: SandboxRun, names: tuple[str, ...]) -> bytes | None:
    for name in names:
        if (content := await run.read_file(name)) is not None:
            return content
    return None


def _film(
    ref: str,
    billing: tuple[BillingTier, ...],
    *fields: InputField,
    version: str = "",
    output: SandboxOutputKind = SandboxOutputKind.FILE,
    shows_still: bool = False,
) -> SandboxModel:
    perform = _shoot_with_still if shows_still else _shoot
    return create_hosted_model(ref, _FILM, perform, fields, billing, version=version, output=output)


def _per_second(usd: str) -> tuple[BillingTier, ...]:
    return price_per(_SECOND, usd)


def _by(name: str, usd_by_value: Mapping[str, str]) -> tuple[BillingTier, ...]:
    return price_by(_SECOND, name, usd_by_value)


def _by_sound(silent_usd: str, loud_usd: str) -> tuple[BillingTier, ...]:
    prices = ((False, silent_usd), (True, loud_usd))
    return tuple(BillingTier({_SECOND: usd}, {"generate_audio": has_sound}) for has_sound, usd in prices)


def _create_pruna_and_wan() -> list[SandboxModel]:
    p_video = tuple(
        BillingTier({_SECOND: usd}, {"draft": is_draft, "resolution": resolution})
        for is_draft, resolution, usd in (
            (True, "720p", "0.005"),
            (True, "1080p", "0.01"),
            (False, "720p", "0.02"),
            (False, "1080p", "0.04"),
        )
    )
    wide = (integer_field("duration", 5, 2, 15), choice_field("resolution", "720p", "1080p"), _SEED)
    return [
        _film(
            "prunaai/p-video",
            p_video,
            _PROMPT,
            file_field(),
            file_field("last_frame_image"),
            file_field("audio"),
            integer_field("duration", 5, 1, 20),
            choice_field("resolution", "720p", "1080p"),
            _RATIO,
            choice_field("fps", "24", "48"),
            flag_field("draft"),
            flag_field("save_audio", default=True),
            flag_field("disable_safety_filter", default=True),
            _SEED,
        ),
        _film(
            "wan-video/wan-2.2-i2v-fast",
            price_by("video_output_count", "resolution", {"480p": "0.05", "720p": "0.11"}),
            _PROMPT,
            file_field(required=True),
            file_field("last_image"),
            integer_field("num_frames", 81, 81, 121),
            choice_field("resolution", "480p", "720p"),
            _SEED,
        ),
        _film(
            "wan-video/wan-2.7-t2v",
            _by("resolution", {"720p": "0.10", "1080p": "0.15"}),
            _PROMPT,
            file_field("audio"),
            _RATIO,
            *wide,
        ),
        _film(
            "wan-video/wan-2.7-i2v",
            _by("resolution", {"720p": "0.10", "1080p": "0.15"}),
            _PROMPT,
            file_field("first_frame", required=True),
            file_field("last_frame"),
            file_field("audio"),
            *wide,
        ),
        _film("wan-video/wan-2.7-videoedit", _per_second("0.10"), _PROMPT, file_field("video", required=True), _SEED),
        _film("alibaba/wan-3", _per_second("0.20"), _PROMPT, file_field("first_frame"), _RATIO, *wide),
    ]


def _create_google() -> list[SandboxModel]:
    fields = (
        _PROMPT,
        file_field(),
        file_field("last_frame"),
        choice_field("aspect_ratio", "16:9", "9:16"),
        InputField("duration", "integer", "duration", default=8, minimum=4, maximum=8),
        choice_field("resolution", "720p", "1080p"),
        _SOUND,
        _SEED,
    )
    lite = _by("resolution", {"720p": "0.05", "1080p": "0.08"})
    return [
        _film("google/veo-3.1-lite", lite, *fields),
        _film("google/veo-3.1-fast", _by_sound("0.10", "0.15"), *fields),
        _film("google/veo-3.1", _by_sound("0.20", "0.40"), *fields, files_field("reference_images")),
    ]


def _seedance(name: str, usd: str) -> SandboxModel:
    return _film(
        f"bytedance/seedance-{name}",
        _per_second(usd),
        _PROMPT,
        file_field(),
        file_field("last_frame_image"),
        files_field("reference_images"),
        integer_field("duration", 5, 4, 15),
        choice_field("resolution", "720p", "480p", "1080p"),
        _RATIO,
        _SOUND,
        _SEED,
    )


def _create_bytedance_and_kling() -> list[SandboxModel]:
    frames = (file_field("start_image"), file_field("end_image"))
    mode = choice_field("mode", "standard", "pro")
    duration = integer_field("duration", 5, 3, 15)
    ratio = choice_field("aspect_ratio", "16:9", "9:16", "1:1")
    return [
        _seedance("2.0-fast", "0.17"),
        _seedance("2.0", "1.25"),
        _seedance("2.5", "0.9676"),
        _film(
            "kwaivgi/kling-v2.6",
            _by_sound("0.07", "0.14"),
            _PROMPT,
            frames[0],
            integer_field("duration", 5, 5, 10),
            ratio,
            _SOUND,
        ),
        _film("kwaivgi/kling-v3-video", _per_second("0.42"), _PROMPT, *frames, mode, duration, ratio, _SOUND),
        _film("kwaivgi/kling-v3-omni-video", _per_second("0.42"), _PROMPT, *frames, mode, duration, ratio, _SOUND),
        _film(
            "kwaivgi/kling-o1", _per_second("0.168"), _PROMPT, *frames, mode, integer_field("duration", 5, 5, 10), ratio
        ),
        _film(
            "kwaivgi/kling-avatar-v2",
            _by("mode", {"std": "0.056", "pro": "0.11"}),
            text_field(),
            file_field(required=True),
            file_field("audio", required=True),
            choice_field("mode", "std", "pro"),
        ),
    ]


def _create_others() -> list[SandboxModel]:
    duration = integer_field("duration", 5, 1, 15)
    return [
        _film(
            "pixverse/pixverse-v6",
            _per_second("0.23"),
            _PROMPT,
            file_field(),
            duration,
            choice_field("quality", "540p", "360p", "720p", "1080p"),
            _RATIO,
            flag_field("generate_audio_switch"),
            _SEED,
        ),
        _film("xai/grok-imagine-video", _per_second("0.05"), _PROMPT, file_field(), duration, _RATIO),
        _film(
            "minimax/hailuo-2.3",
            _by("resolution", {"768p": "0.047", "1080p": "0.082"}),
            _PROMPT,
            file_field("first_frame_image"),
            integer_field("duration", 6, 6, 10),
            choice_field("resolution", "768p", "1080p"),
        ),
        _film(
            "lightricks/ltx-2.3-fast",
            _per_second("0.16"),
            _PROMPT,
            file_field(),
            integer_field("duration", 6, 6, 20),
            choice_field("resolution", "1080p", "2k", "4k"),
            _SOUND,
        ),
        _film(
            "anotherjesse/zeroscope-v2-xl",
            (),
            text_field(default="An astronaut riding a horse"),
            text_field("negative_prompt"),
            integer_field("num_frames", 24),
            integer_field("num_inference_steps", 50, 1, 500),
            integer_field("width", 576, 256),
            integer_field("height", 320, 256),
            number_field("guidance_scale", 7.5, 1, 100),
            integer_field("fps", 8),
            choice_field("model", "xl", "576w", "potat1", "animov-512x"),
            integer_field("batch_size", 1, 1),
            flag_field("remove_watermark"),
            _SEED,
            version="9f747673945c62801b13b84701c783929c0ee784e4748ec062204894dda1a351",
            output=SandboxOutputKind.FILES,
            shows_still=True,
        ),
    ]


def create_film_models() -> list[SandboxModel]:
    return [
        *_create_pruna_and_wan(),
        *_create_google(),
        *_create_bytedance_and_kling(),
        *_create_others(),
    ]
