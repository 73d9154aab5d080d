"""Files among a job's inputs: rows name them by content, backends get where they lie."""

from collections.abc import Mapping

from bot.core.errors import BadFile
from bot.core.json import JSON
from bot.core.predictions import InputFile, Inputs
from bot.media.media import Media


def encode_inputs(inputs: Inputs) -> dict[str, JSON]:
    """Inputs as a row keeps them: a file is `{"sha256", "mime", "size"}`."""
    return {
        name: {"sha256": value.sha256, "mime": value.mime, "size": value.size_bytes}
        if isinstance(value, InputFile)
        else value
        for name, value in inputs.items()
    }


def decode_inputs(inputs: Mapping[str, JSON], media: Media) -> dict[str, JSON | InputFile]:
    """The same with files found again; raises `BadFile` when one is not kept any more."""
    return {name: _file(value, media) if _is_file(value) else value for name, value in inputs.items()}


def _is_file(value: JSON) -> bool:
    return isinstance(value, dict) and value.keys() == {"sha256", "mime", "size"}


def _file(value: JSON, media: Media) -> InputFile:
    assert isinstance(value, dict)  # noqa: S101 - _is_file said so
    path = media.find_path(str(value["sha256"]))
    if path is None:
        raise BadFile("The picture this starts from is not kept any more. Please give it again.")
    return InputFile(str(value["sha256"]), str(value["mime"]), int(str(value["size"])), str(path))
