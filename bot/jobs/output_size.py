"""Refuse requests for pictures too large to keep, before money is held and before a model runs."""

from collections.abc import Iterator, Mapping
from math import ceil, isqrt

from bot.core.backend import InputFile
from bot.core.errors import BadOption
from bot.core.json import JSON
from bot.core.limits import MAX_SIDE_PIXELS
from bot.core.models import InputRule, Model, Task
from bot.credits.pricing import count_pixels
from bot.media.limits import MAX_PIXELS, is_kept_size

Options = Mapping[str, JSON | InputFile]

_MILLION = 1_000_000


def check_output_size(model: Model, options: Options, inputs: Options) -> None:
    """Raise `BadOption` if the requested pictures exceed the size that the bot keeps.

    `options` are the command's options, `inputs` the model's fields made of them. For an upscale the text names the
    largest scale that works.
    """
    scale, picture = (
        options.get("scale"),
        next((file for file in options.values() if isinstance(file, InputFile)), None),
    )
    if model.task is Task.UPSCALE and isinstance(scale, (int, float)) and picture is not None:
        _check_scale(model, picture, scale)
    width, height = _get_sides(inputs)
    if not is_kept_size(width, height):
        raise BadOption(
            f"A picture of {width * height / _MILLION:,.0f} million pixels is too large to keep: ask for at most "
            f"{MAX_PIXELS // _MILLION} million."
        )


def _check_scale(model: Model, picture: InputFile, scale: float) -> None:
    if _is_kept_at(picture, scale):
        return
    pixels = picture.width_pixels * picture.height_pixels * scale**2
    largest = next((smaller for smaller in _list_scales(model.inputs.get("scale")) if _is_kept_at(picture, smaller)), 0)
    advice = f"the largest scale that works is {largest:g}" if largest else "give a smaller picture"
    if pixels > MAX_PIXELS:
        size = f"have {pixels / _MILLION:,.0f} million pixels, and I keep at most {MAX_PIXELS // _MILLION} million"
    else:
        longest = max(picture.width_pixels, picture.height_pixels) * scale
        size = f"be {longest:,.0f} pixels long, and I keep at most {MAX_SIDE_PIXELS:,} a side"
    raise BadOption(f"Made {scale:g} times larger, this picture would {size}: {advice}.", option="scale")


def _is_kept_at(picture: InputFile, scale: float) -> bool:
    return is_kept_size(ceil(picture.width_pixels * scale), ceil(picture.height_pixels * scale))


def _list_scales(rule: InputRule | None) -> Iterator[float]:
    """Yield the scales of a model, largest first, in steps of a tenth where the model has no fixed choices."""
    if rule is None:
        return
    if choices := (*rule.choices, *rule.expands):
        yield from sorted({float(choice) for choice in choices if choice.replace(".", "", 1).isdecimal()}, reverse=True)
        return
    for tenths in range(int((rule.maximum or 10) * 10), int((rule.minimum or 1) * 10) - 1, -1):
        yield tenths / 10


def _get_sides(inputs: Options) -> tuple[int, int]:
    """Return width and height of a requested picture, as a square where the inputs name the area alone."""
    width, height, pixels = inputs.get("width"), inputs.get("height"), count_pixels(inputs)
    if isinstance(width, int) and isinstance(height, int):
        return width, height
    return (side := isqrt(pixels or 0), side)
