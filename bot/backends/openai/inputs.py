"""Inputs of a model as the bodies of requests: messages with pictures, and forms with files.

Between `prepare` and `submit` a file stands in the inputs as `{"path", "mime"}`: the row of the job stays small.
"""

import re
from collections.abc import Mapping
from pathlib import Path

from bot.backends.http import make_data_url
from bot.core.backend import InputFile, Inputs, InputValue
from bot.core.errors import InputRefused
from bot.core.file_types import FILE_TYPES
from bot.core.json import JSON, as_object
from bot.core.models import Model
from bot.core.text import mend_text, neutralise_control_tokens

DEFAULT_MAX_TOKENS = 4_096
"""The bound of an answer where the entry sends none: some servers go on after the client has left."""

_MAX_TOKENS_FIELDS = ("max_tokens", "max_completion_tokens")
# stable-diffusion.cpp reads settings from such a tag inside the prompt: a person's text must not reach them.
_SERVER_TAG = re.compile(r"</?sd_cpp_extra_args>", re.IGNORECASE)

FormFile = tuple[str, tuple[str, bytes, str]]
"""A part of a multipart form: the field, and the file's name, bytes and type."""


def describe_files(inputs: Inputs) -> dict[str, JSON]:
    """Return the inputs with each file as an object that `read_file` reads."""
    return {name: _describe_value(value) for name, value in inputs.items()}


def _describe_value(value: InputValue) -> JSON:
    if isinstance(value, tuple):
        return [_describe_value(file) for file in value]
    return {"path": value.path, "mime": value.mime} if isinstance(value, InputFile) else value


def list_files(inputs: Mapping[str, JSON]) -> list[tuple[str, Mapping[str, JSON]]]:
    """Return the files among described inputs, each with its field."""
    values = [(name, value if isinstance(value, list) else [value]) for name, value in inputs.items()]
    return [(name, item) for name, items in values for item in items if isinstance(item, dict) and _is_file(item)]


def _is_file(value: Mapping[str, JSON]) -> bool:
    return value.keys() == {"path", "mime"}


def read_file(file: Mapping[str, JSON]) -> tuple[bytes, str]:
    """Return bytes and type of a described file. Raise `InputRefused` for a file that is no longer kept."""
    try:
        return Path(str(file["path"])).read_bytes(), str(file["mime"])
    except OSError as error:
        raise InputRefused("The file to work on is no longer kept. Send it again.") from error


def build_chat_body(model: Model, inputs: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the body of `POST /chat/completions`, always streamed and always bounded. Reads the files.

    Pictures become parts of the last message as `data:` URLs, which all of these servers read.
    """
    files = list_files(inputs)
    skipped = {"messages", "prompt", "system", *(name for name, _ in files)}
    body: dict[str, JSON] = {name: value for name, value in inputs.items() if name not in skipped}
    if not any(name in body for name in _MAX_TOKENS_FIELDS):
        rule = model.inputs.get("max_tokens")
        body[rule.name if rule is not None else _MAX_TOKENS_FIELDS[0]] = DEFAULT_MAX_TOKENS
    messages = _build_messages(inputs)
    if files:
        content: list[JSON] = [{"type": "text", "text": words}] if (words := messages[-1]["content"]) else []
        content += [{"type": "image_url", "image_url": {"url": _make_data_url(file)}} for _, file in files]
        messages[-1] = {**messages[-1], "content": content}
    usage: JSON = {"include_usage": True}
    return {**body, "model": model.ref, "messages": [*messages], "stream": True, "stream_options": usage}


def _build_messages(inputs: Mapping[str, JSON]) -> list[dict[str, JSON]]:
    """Return the turns, or one message of a prompt. Control tokens of chat templates are broken in each text."""
    turns = inputs.get("messages")
    found = [as_object(turn) for turn in turns] if isinstance(turns, list) else []
    if not found:
        found = [{"role": "user", "content": inputs.get("prompt", "")}]
    if system := inputs.get("system"):
        found.insert(0, {"role": "system", "content": system})
    # Servers of open models read the tokens of a template also inside a message.
    return [{"role": turn.get("role", "user"), "content": _clean_text(turn.get("content", ""))} for turn in found]


def _clean_text(text: JSON) -> str:
    return neutralise_control_tokens(mend_text(str(text)))


def _make_data_url(file: Mapping[str, JSON]) -> str:
    content, mime = read_file(file)
    return make_data_url(content, mime)


def build_picture_fields(model: Model, inputs: Mapping[str, JSON]) -> dict[str, JSON]:
    """Return the fields of `POST /images/generations` and `/images/edits` besides the files."""
    fields = {name: value for name, value in inputs.items() if name not in dict(list_files(inputs))}
    prompt = _SERVER_TAG.sub("", mend_text(str(fields.get("prompt", ""))))
    return {**fields, "model": model.ref, "prompt": prompt}


def build_form(inputs: Mapping[str, JSON]) -> list[FormFile]:
    """Return the files of a multipart form, in order. Reads the files."""
    form: list[FormFile] = []
    for n, (name, file) in enumerate(list_files(inputs)):
        content, mime = read_file(file)
        # Servers tell the type from the extension too.
        extension = FILE_TYPES[mime].extension if mime in FILE_TYPES else mime.partition("/")[2]
        form.append((name, (f"file{n}.{extension or 'bin'}", content, mime)))
    return form
