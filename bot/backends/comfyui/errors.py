"""ComfyUI's refusals and failed runs as the bot's errors: what a person can change, and what the owner has to mend."""

import logging
import re
from collections.abc import Iterator

from bot.core.backend import PredictionState, RunSnapshot
from bot.core.errors import BackendDown, InputRefused, ModelFailed, PredictionGone
from bot.core.json import JSON, get_object, get_objects, get_text
from bot.core.text import mend_text

log = logging.getLogger(__name__)

LEAST_VERSION = (0, 25)
"""The first version that takes our own id for a run: an older server could make a run twice."""

_TOO_OLD = "The ComfyUI server is too old for the bot: its owner has to update ComfyUI to 0.25 or later."
_BROKEN = "This model is not set up right on its ComfyUI server. Its owner can see why with `easel models check`."
_GONE = "The ComfyUI server was restarted and no longer knows this run. You were not charged."
_BAD_PICTURE = "The ComfyUI server cannot read this picture. Send it again, or send another one."

_OUT_OF_MEMORY = "The model failed: its machine is out of memory. Try a smaller picture, or fewer at once."
_NO_REASON = "The model failed without saying why. Try again, or choose another model."
_STOPPED = "The run was stopped before it was finished."
_NOTHING = "The model finished, but gave nothing back. Its workflow needs a node that saves its output."

_MEMORY_WORDS = re.compile(r"out ?of ?memory|\bOOM\b|not enough memory", re.IGNORECASE)
_BOUND_WORDS = {"value_smaller_than_min": "smaller", "value_bigger_than_max": "larger"}
_MAX_REASON_CHARACTERS = 300


def read_refusal(body: JSON, model: str) -> InputRefused | ModelFailed:
    """Return the error of a prompt that the server refused, in whole or in part.

    A missing node or file is the owner's to mend: the log names the missing part, the person reads a plain sentence.
    """
    errors = [get_object(body, "error"), *_iterate_node_errors(body)]
    for error in errors:
        if get_text(error, "type") in _BOUND_WORDS:
            return InputRefused(_describe_bound(error))
    if any("Invalid image file" in get_text(error, "details") for error in errors):
        return InputRefused(_BAD_PICTURE)
    reasons = "; ".join(dict.fromkeys(reason for error in errors if (reason := _describe(error))))
    log.error("comfyui.workflow_refused", extra={"model": model, "reason": shorten(reasons)})
    return ModelFailed(_BROKEN)


def explain_failure(snapshot: RunSnapshot) -> ModelFailed:
    """Return the error of an ended run without a result."""
    if snapshot.state in (PredictionState.CANCELED, PredictionState.ABORTED):
        return ModelFailed(_STOPPED)
    if _MEMORY_WORDS.search(snapshot.error):
        return ModelFailed(_OUT_OF_MEMORY)
    if snapshot.state is PredictionState.SUCCEEDED:
        return ModelFailed(_NOTHING)
    # The name of the exception's class says nothing to a person.
    reason = shorten(snapshot.error.partition(": ")[2])
    return ModelFailed(f"The model failed: {reason}" if reason else _NO_REASON)


def make_gone_error() -> PredictionGone:
    """Return the error of a run that the server forgot: queue and history are memory."""
    return PredictionGone(_GONE)


def make_too_old_error() -> BackendDown:
    """Return the error of a server that ignores our ids."""
    return BackendDown(_TOO_OLD)


def is_too_old(version: str) -> bool:
    """Return whether a version is older than `LEAST_VERSION`; a version that nobody can read is not."""
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    return numbers is not None and (int(numbers[1]), int(numbers[2])) < LEAST_VERSION


def shorten(text: str) -> str:
    """Return a text of the server as one line of bounded length, ended by a full stop."""
    line = mend_text(" ".join(text.split()))
    if len(line) > _MAX_REASON_CHARACTERS:
        return line[:_MAX_REASON_CHARACTERS].rstrip() + "…"
    return line if not line or line.endswith((".", "!", "?", "…")) else line + "."


def _iterate_node_errors(body: JSON) -> Iterator[dict[str, JSON]]:
    for node in get_object(body, "node_errors").values():
        yield from get_objects(node, "errors")


def _describe_bound(error: dict[str, JSON]) -> str:
    extra = get_object(error, "extra_info")
    name, value = get_text(extra, "input_name"), extra.get("received_value")
    bound = re.search(r"(?:min|max) of (\S+)", get_text(error, "message"))
    limit = f" than {bound[1]}" if bound else " than it may be"
    return f"The model does not take this: {name} {value} is {_BOUND_WORDS[get_text(error, 'type')]}{limit}."


def _describe(error: dict[str, JSON]) -> str:
    missing = get_text(get_object(error, "extra_info"), "class_type")
    message, details = get_text(error, "message"), get_text(error, "details")
    return ": ".join(part for part in (message, missing, details) if part)
