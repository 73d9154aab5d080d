"""Find the request that draws a draft's picture on the finer model: the same words, seed, number and shape."""

from collections.abc import Mapping
from dataclasses import dataclass

from bot.catalogue.catalogue import Catalogue
from bot.core.backend import InputValue
from bot.core.errors import BadOption
from bot.core.jobs import Job, Output
from bot.core.json import JSON
from bot.core.models import ASPECTS, Model, Task

_KEPT_OPTIONS = ("prompt", "negative", "aspect", "count", "seed")
_MAX_RATIO_DIFFERENCE = 0.06
"""Models round sides: 1344 by 768 is meant as 16:9, which differs by 2 %."""


@dataclass(frozen=True, slots=True)
class FinishRequest:
    """The options of /imagine on the finer model."""

    model: Model
    options: Mapping[str, InputValue]


def plan_finish(catalogue: Catalogue, job: Job, picture: Output) -> FinishRequest | None:
    """Return the request that finishes a draft, `picture` being one of its pictures.

    Return None for a model without a finer one on offer, and where the finer model could not draw the same: it takes
    no seed or another shape, or the draft started from a picture.
    """
    draft = catalogue.get(job.model)
    finer = catalogue.find_finer(draft)
    if finer is None or job.command != Task.IMAGINE or any(isinstance(value, dict) for value in job.options.values()):
        return None
    options = {name: job.options.get(name) for name in _KEPT_OPTIONS}
    options["aspect"] = options["aspect"] or _find_aspect(picture.width, picture.height)
    options["seed"] = job.inputs.get(draft.inputs["seed"].name) if "seed" in draft.inputs else None
    if options["count"] == 1 and "count" not in finer.inputs:
        del options["count"]
    if not options["aspect"] or options["seed"] is None:
        return None
    given: dict[str, JSON] = {name: value for name, value in options.items() if value is not None}
    try:
        catalogue.build_inputs(finer, given)
    except BadOption:
        return None
    return FinishRequest(finer, given)


def _find_aspect(width: int, height: int) -> str:
    """Return the nearest shape on offer; empty if none is near."""
    if not width or not height:
        return ""
    nearest = min(ASPECTS, key=lambda aspect: _compare(aspect, width, height))
    return nearest if _compare(nearest, width, height) <= _MAX_RATIO_DIFFERENCE else ""


def _compare(aspect: str, width: int, height: int) -> float:
    """Return the difference of two ratios, as a share."""
    across, down = map(int, aspect.split(":"))
    ratio = (width / height) / (across / down)
    return max(ratio, 1 / ratio) - 1
