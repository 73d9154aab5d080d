"""Reads the replies of the API as a run's events: answers, pictures, transcripts and speech.

The routes are those of platform.openai.com/docs/api-reference; answers come from `POST /chat/completions`.
"""

import asyncio
import base64
import binascii
import json
import math
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field

import httpx

from bot.backends.http import EventReader
from bot.backends.model_texts import read_passages
from bot.backends.server import ServerApi, ServerReply, find_reason
from bot.core.backend import (
    PredictionState,
    RunEnded,
    RunEvent,
    RunMetrics,
    RunPreview,
    RunSnapshot,
    RunStarted,
    TextDelta,
)
from bot.core.errors import BackendError, ModelFailed, ModelFlagged, RunLost
from bot.core.file_types import HEAD_BYTES, detect_file_type
from bot.core.json import JSON, as_object, get_object, get_objects, get_text
from bot.core.limits import MAX_ANSWER_CHARACTERS, MAX_SERVER_REPLY_BYTES
from bot.core.models import Metric
from bot.core.transcripts import format_transcript

MAX_CALL_CHARACTERS = 8_000
_DONE = "[DONE]"
_MAX_COUNTED_TOKENS = 10_000_000
_FLAGGED = "The model refused this as sensitive. Try other words or another picture."


@dataclass(slots=True)
class ChatStream:
    """What the stream has said so far."""

    service: str
    text: str = ""
    tool: str = ""
    """The tool that the model calls, the first of several."""
    call_id: str = ""
    arguments: str = ""
    finish_reason: str = ""
    is_done: bool = False
    has_started: bool = False
    usage: Mapping[str, JSON] = field(default_factory=dict)

    def read(self, data: str) -> Iterator[RunEvent]:
        """Yield the events of one `data:` line. Raise the error that the line holds."""
        if data.strip() == _DONE:
            self.is_done = True
            return
        try:
            chunk: JSON = json.loads(data)
        except ValueError as error:
            raise ModelFailed(f"{self.service} sent something that is not JSON.") from error
        body = as_object(chunk)
        # OpenRouter and others report failures in the stream, on HTTP 200.
        if body.get("error"):
            raise ModelFailed(find_reason(chunk) or f"{self.service} failed without saying why.")
        if isinstance(usage := body.get("usage"), dict):
            self.usage = usage
        if not self.has_started:
            self.has_started = True
            yield RunStarted()
        for choice in get_objects(chunk, "choices")[:1]:
            yield from self._read_choice(choice)

    def _read_choice(self, choice: dict[str, JSON]) -> Iterator[RunEvent]:
        # A whole reply of a server that does not stream has `message` in the place of `delta`. The fields
        # `reasoning_content` (llama.cpp, LM Studio) and `reasoning` (Ollama, OpenRouter, vLLM) are thoughts.
        delta = get_object(choice, "delta") or get_object(choice, "message")
        for call in get_objects(delta, "tool_calls"):
            # Whole replies, and some servers' streams, give each call the index 0, or none.
            call_id = get_text(call, "id")
            self.call_id = self.call_id or call_id
            is_first = call.get("index", 0) == 0 and call_id in ("", self.call_id)
            if is_first and len(self.arguments) <= MAX_CALL_CHARACTERS:
                function = get_object(call, "function")
                self.tool = self.tool or get_text(function, "name")
                self.arguments += get_text(function, "arguments")
        text = get_text(delta, "content")
        if text:
            self.text += text
            yield TextDelta(text)
        self.finish_reason = get_text(choice, "finish_reason") or self.finish_reason

    @property
    def is_over(self) -> bool:
        return self.is_done or len(self.text) > 4 * MAX_ANSWER_CHARACTERS

    def end(self) -> RunEnded:
        """Return the end of a stream. Raise the error of a stream without one."""
        if self.finish_reason == "content_filter":
            raise ModelFlagged(_FLAGGED)
        if not (self.finish_reason or self.is_over):
            raise self.describe_break()
        text = f"{self.text}\n{self._format_call()}" if self.tool else self.text
        return RunEnded(RunSnapshot("", PredictionState.SUCCEEDED, text=text, metrics=self._read_metrics()))

    def _format_call(self) -> str:
        """Return a native call as the JSON object in which all other models write their calls."""
        try:
            arguments = as_object(json.loads(self.arguments or "{}"))
        except (ValueError, RecursionError):
            arguments = {"arguments": self.arguments}
        return json.dumps({"tool": self.tool, **arguments} | {"tool": self.tool})

    def describe_break(self) -> BackendError:
        """Return the error of a stream that broke off. Without a word nobody knows what the server did."""
        text = f"{self.service} broke off in the middle."
        return ModelFailed(f"{text} You were not charged.") if self.text else RunLost(text)

    def _read_metrics(self) -> RunMetrics:
        names = {
            Metric.TOKEN_INPUT_COUNT: "prompt_tokens",
            Metric.TOKEN_OUTPUT_COUNT: "completion_tokens",
        }
        # Without usage the price counts by the request and the text.
        counts = {metric: _read_token_count(self.usage.get(name)) for metric, name in names.items()}
        return RunMetrics(amounts={metric: count for metric, count in counts.items() if count is not None})


def _read_token_count(value: JSON) -> float | None:
    is_count = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= _MAX_COUNTED_TOKENS
    return float(value) if is_count and isinstance(value, int | float) else None


async def stream_chat(api: ServerApi, response: httpx.Response) -> AsyncGenerator[RunEvent, None]:
    """Yield the events of a response with status 200, to `RunEnded`."""
    stream = ChatStream(api.service)
    if "json" in response.headers.get("content-type", ""):
        reply = await api.read_reply(response)
        for event in stream.read(reply.content.decode("utf-8", "replace")):
            yield event
        yield stream.end()
        return
    reader = EventReader()
    try:
        async for chunk in api.iterate_chunks(response, max_bytes=MAX_SERVER_REPLY_BYTES):
            for line in reader.feed(chunk):
                for event in stream.read(line.data):
                    yield event
            if stream.is_over:
                break
    except RunLost as error:
        # The last piece may have come: the usage alone is missing then.
        if not stream.finish_reason:
            raise stream.describe_break() from error
    yield stream.end()


# Pictures: `POST /images/generations` and `/images/edits`.


async def stream_pictures(api: ServerApi, response: httpx.Response) -> AsyncGenerator[RunEvent, None]:
    """Yield the events of a response with status 200, to `RunEnded`. Partial pictures of a stream are previews."""
    yield RunStarted()
    if "event-stream" not in response.headers.get("content-type", ""):
        # Parsing and decoding some megabytes would stop the event loop for everybody.
        yield await asyncio.to_thread(_read_pictures, api, await api.read_reply(response))
        return
    reader, pictures, usage = EventReader(), list[JSON](), dict[str, JSON]()
    async for chunk in api.iterate_chunks(response, max_bytes=MAX_SERVER_REPLY_BYTES):
        for line in reader.feed(chunk):
            event = _parse_picture_event(api, line.data)
            kind = get_text(event, "type")
            if kind.endswith(".partial_image"):
                yield RunPreview(_decode_picture(api, get_text(event, "b64_json")), "image/png")
            elif kind.endswith(".completed"):
                pictures.append({"b64_json": get_text(event, "b64_json")})
                usage = get_object(event, "usage") or usage
    if not pictures:
        raise RunLost(f"{api.service} broke off in the middle.")
    yield await asyncio.to_thread(_end_pictures, api, {"data": pictures, "usage": usage})


def _read_pictures(api: ServerApi, reply: ServerReply) -> RunEnded:
    try:
        body = reply.parse()
    except ValueError as error:
        raise ModelFailed(f"{api.service} sent something that is not JSON.") from error
    return _end_pictures(api, body)


def _parse_picture_event(api: ServerApi, data: str) -> dict[str, JSON]:
    return {} if data.strip() == "[DONE]" else _parse_body(api, data)


def _parse_body(api: ServerApi, text: str) -> dict[str, JSON]:
    """Return the object of an event or a reply. Raise `ModelFailed` for an error, and for text that is no JSON."""
    try:
        body = as_object(json.loads(text))
    except ValueError as error:
        raise ModelFailed(f"{api.service} sent something that is not JSON.") from error
    if body.get("error"):
        raise ModelFailed(find_reason(body) or f"{api.service} failed without saying why.")
    return body


def _end_pictures(api: ServerApi, body: JSON) -> RunEnded:
    if as_object(body).get("error"):
        raise ModelFailed(find_reason(body) or f"{api.service} failed without saying why.")
    items = get_objects(body, "data")
    files: list[str | bytes] = []
    for item in items:
        if encoded := get_text(item, "b64_json"):
            files.append(_decode_picture(api, encoded))
        elif url := get_text(item, "url"):
            files.append(url)
    usage = get_object(body, "usage")
    names = {Metric.TOKEN_INPUT_COUNT: "input_tokens", Metric.TOKEN_OUTPUT_COUNT: "output_tokens"}
    counts = {metric: usage[name] for metric, name in names.items() if isinstance(usage.get(name), int)}
    amounts = {metric: float(count) for metric, count in counts.items() if isinstance(count, int) and count >= 0}
    metrics = RunMetrics(amounts={**amounts, Metric.IMAGE_OUTPUT_COUNT: float(len(files))})
    return RunEnded(RunSnapshot("", PredictionState.SUCCEEDED, files=tuple(files), metrics=metrics))


def _decode_picture(api: ServerApi, encoded: str) -> bytes:
    try:
        # stable-diffusion.cpp and others write a data URL.
        return base64.b64decode(encoded.rpartition(",")[2], validate=True)
    except binascii.Error as error:
        raise ModelFailed(f"{api.service} sent a picture that cannot be read.") from error


# Sound: `POST /audio/transcriptions` and `/audio/speech`.


async def read_transcript(api: ServerApi, response: httpx.Response) -> AsyncGenerator[RunEvent, None]:
    """Yield the events of a transcription: JSON with `text`, or a plain text, as `response_format` asks."""
    yield RunStarted()
    reply = await api.read_reply(response)
    text = reply.content.decode("utf-8", "replace")
    if "json" not in response.headers.get("content-type", ""):
        yield RunEnded(RunSnapshot("", PredictionState.SUCCEEDED, text=text))
        return
    body = _parse_body(api, text)
    passages = read_passages(body)
    has_speakers = any(passage.speaker for passage in passages)
    snapshot = RunSnapshot(
        "",
        PredictionState.SUCCEEDED,
        text=format_transcript(passages) if has_speakers else get_text(body, "text"),
        passages=passages,
        metrics=_read_sound_usage(body),
    )
    yield RunEnded(snapshot)


async def read_speech(api: ServerApi, response: httpx.Response) -> AsyncGenerator[RunEvent, None]:
    """Yield the events of a speech: the bytes of a sound, whatever type the server names."""
    yield RunStarted()
    reply = await api.read_reply(response)
    if detect_file_type(reply.content[:HEAD_BYTES]) is None and "json" in response.headers.get("content-type", ""):
        raise ModelFailed(find_reason(_parse_body(api, reply.content.decode("utf-8", "replace"))) or "no sound came.")
    files = (reply.content,) if reply.content else ()
    metrics = RunMetrics(amounts={Metric.AUDIO_OUTPUT_COUNT: float(len(files))})
    yield RunEnded(RunSnapshot("", PredictionState.SUCCEEDED, files=files, metrics=metrics))


def _read_sound_usage(body: dict[str, JSON]) -> RunMetrics:
    """Return the tokens or the seconds that OpenAI bills; the price of a second of work follows the clock."""
    usage = get_object(body, "usage")
    names = {Metric.TOKEN_INPUT_COUNT: "input_tokens", Metric.TOKEN_OUTPUT_COUNT: "output_tokens"}
    counts = {metric: _read_amount(usage.get(name)) for metric, name in names.items()}
    seconds = _read_amount(usage.get("seconds"))
    counts[Metric.AUDIO_INPUT_MINUTE_COUNT] = None if seconds is None else seconds / 60
    return RunMetrics(amounts={metric: count for metric, count in counts.items() if count is not None})


def _read_amount(value: JSON) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return (
        float(value) if is_number and isinstance(value, int | float) and math.isfinite(value) and value >= 0 else None
    )
