"""Draws and edits pictures: `POST /images/generations` and `/images/edits` (platform.openai.com/docs/api-reference)."""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator

import httpx

from bot.backends.http import EventReader
from bot.backends.server import ServerApi, ServerReply, find_reason
from bot.core.backend import PredictionState, RunEnded, RunEvent, RunMetrics, RunPreview, RunSnapshot, RunStarted
from bot.core.errors import ModelFailed, RunLost
from bot.core.json import JSON, as_object, get_object, get_objects, get_text
from bot.core.limits import MAX_SERVER_REPLY_BYTES
from bot.core.models import Metric


async def stream_pictures(api: ServerApi, response: httpx.Response) -> AsyncGenerator[RunEvent, None]:
    """Yield the events of a response with status 200, to `RunEnded`. Partial pictures of a stream are previews."""
    yield RunStarted()
    if "event-stream" not in response.headers.get("content-type", ""):
        # Parsing and decoding some megabytes would stop the event loop for everybody.
        yield await asyncio.to_thread(_read_end, api, await api.read_reply(response))
        return
    reader, pictures, usage = EventReader(), list[JSON](), dict[str, JSON]()
    async for chunk in api.iterate_chunks(response, max_bytes=MAX_SERVER_REPLY_BYTES):
        for line in reader.feed(chunk):
            event = _parse_event(api, line.data)
            kind = get_text(event, "type")
            if kind.endswith(".partial_image"):
                yield RunPreview(_decode(api, get_text(event, "b64_json")), "image/png")
            elif kind.endswith(".completed"):
                pictures.append({"b64_json": get_text(event, "b64_json")})
                usage = get_object(event, "usage") or usage
    if not pictures:
        raise RunLost(f"{api.service} broke off in the middle.")
    yield await asyncio.to_thread(_end, api, {"data": pictures, "usage": usage})


def _read_end(api: ServerApi, reply: ServerReply) -> RunEnded:
    try:
        body = reply.parse()
    except ValueError as error:
        raise ModelFailed(f"{api.service} sent something that is not JSON.") from error
    return _end(api, body)


def _parse_event(api: ServerApi, data: str) -> dict[str, JSON]:
    if data.strip() == "[DONE]":
        return {}
    try:
        event = as_object(json.loads(data))
    except ValueError as error:
        raise ModelFailed(f"{api.service} sent something that is not JSON.") from error
    if event.get("error"):
        raise ModelFailed(find_reason(event) or f"{api.service} failed without saying why.")
    return event


def _end(api: ServerApi, body: JSON) -> RunEnded:
    if as_object(body).get("error"):
        raise ModelFailed(find_reason(body) or f"{api.service} failed without saying why.")
    items = get_objects(body, "data")
    files: list[str | bytes] = []
    for item in items:
        if encoded := get_text(item, "b64_json"):
            files.append(_decode(api, encoded))
        elif url := get_text(item, "url"):
            files.append(url)
    usage = get_object(body, "usage")
    names = {Metric.TOKEN_INPUT_COUNT: "input_tokens", Metric.TOKEN_OUTPUT_COUNT: "output_tokens"}
    counts = {metric: usage[name] for metric, name in names.items() if isinstance(usage.get(name), int)}
    amounts = {metric: float(count) for metric, count in counts.items() if isinstance(count, int) and count >= 0}
    metrics = RunMetrics(amounts={**amounts, Metric.IMAGE_OUTPUT_COUNT: float(len(files))})
    return RunEnded(RunSnapshot("", PredictionState.SUCCEEDED, files=tuple(files), metrics=metrics))


def _decode(api: ServerApi, encoded: str) -> bytes:
    try:
        # stable-diffusion.cpp and others write a data URL.
        return base64.b64decode(encoded.rpartition(",")[2], validate=True)
    except binascii.Error as error:
        raise ModelFailed(f"{api.service} sent a picture that cannot be read.") from error
