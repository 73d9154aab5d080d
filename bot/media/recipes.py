"""The workflow that ComfyUI writes into its PNG files: kept where a workspace wants files that can be opened there."""

import json
import struct
from contextlib import suppress

from bot.core.errors import BadFile
from bot.core.limits import MAX_RECIPE_BYTES
from bot.core.workflows import Workflow, parse_workflow
from bot.media.stripping import Buffer, iterate_png_chunks, make_png_chunk

_KEYWORD = b"prompt"
_HEADER_END = 8 + 25
"""The end of a PNG's signature and of its first chunk."""


def read_recipe(data: Buffer) -> Workflow | None:
    """Return the workflow in a PNG's text, None without one, and for any other text."""
    with suppress(BadFile, struct.error, ValueError, RecursionError):
        for name, content in iterate_png_chunks(memoryview(data)):
            keyword, _, text = bytes(content[: MAX_RECIPE_BYTES + len(_KEYWORD) + 1]).partition(b"\0")
            if name == b"tEXt" and keyword == _KEYWORD and len(text) <= MAX_RECIPE_BYTES:
                return parse_workflow(json.loads(text.decode("latin-1")), "the file")
    return None


def add_recipe(png: bytes, recipe: Workflow) -> bytes:
    """Return a cleaned PNG with a workflow, written anew: no other words of the server's file come along."""
    text = json.dumps(recipe).encode("ascii")
    return png[:_HEADER_END] + b"".join(make_png_chunk(b"tEXt", _KEYWORD + b"\0" + text)) + png[_HEADER_END:]
