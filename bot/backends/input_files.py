"""Reads the files among a model's inputs, and writes files as data URLs."""

import asyncio
import base64
from pathlib import Path

from bot.core.backend import InputFile
from bot.core.errors import InputRefused


async def read_input_file(file: InputFile) -> bytes:
    """Return the bytes of a file. Raise `InputRefused` for a file that is no longer kept."""
    try:
        return await asyncio.to_thread(Path(file.path).read_bytes)
    except OSError as error:
        raise InputRefused("The file to work on is no longer kept. Send it again.") from error


def make_data_url(content: bytes, mime: str) -> str:
    """Return a file as an address (RFC 2397)."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"
