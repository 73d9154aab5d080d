"""Writes down speech and speaks text: `POST /audio/transcriptions` and `/audio/speech` (platform.openai.com/docs)."""

import json
import math
from collections.abc import AsyncGenerator

import httpx

from bot.backends.server import ServerApi, find_reason
from bot.backends.transcripts import read_passages
from bot.core.backend import PredictionState, RunEnded, RunEvent, RunMetrics, RunSnapshot, RunStarted
from bot.core.errors import ModelFailed
from bot.core.file_types import HEAD_BYTES, detect_file_type
from bot.core.json import JSON, as_object, get_object, get_text
from bot.core.models import Metric
from bot.core.transcripts import format_transcript


async def read_transcript(api: ServerApi, response: httpx.Response) -> AsyncGenerator[RunEvent, None]:
    """Yield the events of a transcription: JSON with `text`, or a plain text, as `response_format` asks."""
    yield RunStarted()
    reply = await api.read_reply(response)
    text = reply.content.decode("utf-8", "replace")
    if "json" not in response.headers.get("content-type", ""):
        yield RunEnded(RunSnapshot("", PredictionState.SUCCEEDED, text=text))
        return
    body = _parse(api, text)
    passages = read_passages(body)
    has_speakers = any(passage.speaker for passage in passages)
    snapshot = RunSnapshot(
        "",
        PredictionState.SUCCEEDED,
        text=format_transcript(passages) if has_speakers else get_text(body, "text"),
        passages=passages,
        metrics=_read_usage(body),
    )
    yield RunEnded(snapshot)


def _read_number(value: JSON) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (
        float(value) if is_number and isinstance(value, int | float) and math.isfinite(value) and value >= 0 else None
    )


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
    """Return the tokens or the seconds that OpenAI bills; the price of a second of work follows the clock."""
    usage = get_object(body, "usage")
    names = {Metric.TOKEN_INPUT_COUNT: "input_tokens", Metric.TOKEN_OUTPUT_COUNT: "output_tokens"}
    counts = {metric: _read_number(usage.get(name)) for metric, name in names.items()}
    seconds = _read_number(usage.get("seconds"))
    counts[Metric.AUDIO_INPUT_MINUTE_COUNT] = None if seconds is None else seconds / 60
    return RunMetrics(amounts={metric: count for metric, count in counts.items() if count is not None})
