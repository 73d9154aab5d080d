"""Files among the inputs, as Replicate takes them: small ones inside the request, large ones uploaded first."""

import asyncio
import base64
import mimetypes
from pathlib import Path

from bot.backends.replicate.client import ReplicateClient
from bot.core.backend import InputFile, Inputs
from bot.core.errors import InputRefused
from bot.core.json import JSON

MAX_DATA_URL_BYTES = 256_000
"""Of the file, before base64. Replicate's specification: data URLs are for files up to 256 kB."""


async def replace_files_with_urls(client: ReplicateClient, inputs: Inputs) -> dict[str, JSON]:
    """The inputs with each file as an address. An uploaded file stays at Replicate for 24 hours."""
    prepared: dict[str, JSON] = {}
    for name, value in inputs.items():
        prepared[name] = await _make_file_url(client, value) if isinstance(value, InputFile) else value
    return prepared


async def _make_file_url(client: ReplicateClient, file: InputFile) -> str:
    content = await _read(file)
    if len(content) <= MAX_DATA_URL_BYTES:
        return f"data:{file.mime};base64,{base64.b64encode(content).decode()}"
    name = file.sha256[:16] + (mimetypes.guess_extension(file.mime) or "")
    return await client.upload_file(name, content, file.mime)


async def _read(file: InputFile) -> bytes:
    try:
        return await asyncio.to_thread(Path(file.path).read_bytes)
    except OSError as error:
        raise InputRefused("The picture to work on is no longer kept. Send it again.") from error
