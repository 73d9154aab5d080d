"""Writes down speech and speaks text: `POST /audio/transcriptions` and `/audio/speech` (platform.openai.com/docs)."""

import json
from collections.abc import AsyncGenerator

import httpx

from bot.backends.server import ServerApi, find_reason
from bot.core.backend import PredictionState, RunEnded, RunEvent, RunMetrics, RunSnapshot, RunStarted
from bot.core.errors import ModelFailed
from bot.core.file_types import HEAD_BYTES, detect_file_type
from bot.core.json import JSON, as_object, get_object, get_text
from bot.core.models import Metric


async def read_transcript(api: ServerApi, response: httpx.Response) -> AsyncGenerator[RunEvent, None]:
    """Yield the events of a transcription: JSON with `text`, or a plain text, as `response_format` asks."""
    yield RunStarted()
    reply = await api.read_reply(response)
    text = reply.content.decode("utf-8", "replace")
    if "json" not in response.headers.get("content-type", ""):
        yield RunEnded(RunSnapshot("", PredictionState.SUCCEEDED, text=text))
        return
    body = _parse(api, text)
    snapshot = RunSnapshot("", PredictionState.SUCCEEDED, text=get_text(body, "text"), metrics=_read_usage(body))
    yield RunEnded(snapshot)


async def read_speech(api: ServerApi, response: httpx.Response) -> AsyncGenerator[RunEvent, None]:
    """Yield the events of a speech: the bytes of a sound, whatever type the server names."""
    yield RunStarted()
    reply = await api.read_reply(response)
    if detect_file_type(reply.content[:HEAD_BYTES]) is None and "json" in response.headers.get("content-type", ""):
        raise ModelFailed(find_reason(_parse(api, reply.content.decode("utf-8", "replace"))) or "no sound came.")
    files = (reply.content,) if reply.content else ()
    metrics = RunMetrics(amounts={Metric.AUDIO_OUTPUT_COUNT: float(len(files))})
    yield RunEnded(RunSnapshot("", PredictionState.SUCCEEDED, files=files, metrics=metrics))


def _parse(api: ServerApi, text: str) -> dict[str, JSON]:
    try:
        body = as_object(json.loads(text))
    except ValueError as error:
        raise ModelFailed(f"{api.service} sent something that is not JSON.") from error
    if body.get("error"):
        raise ModelFailed(find_reason(body) or f"{api.service} failed without saying why.")
    return body


def _read_usage(body: dict[str, JSON]) -> RunMetrics:
    """Return the tokens that OpenAI's newer models bill; the price by the second follows the clock."""
    usage = get_object(body, "usage")
    names = {Metric.TOKEN_INPUT_COUNT: "input_tokens", Metric.TOKEN_OUTPUT_COUNT: "output_tokens"}
    counts = {metric: usage.get(name) for metric, name in names.items()}
    return RunMetrics(amounts={metric: float(n) for metric, n in counts.items() if isinstance(n, int) and n >= 0})
