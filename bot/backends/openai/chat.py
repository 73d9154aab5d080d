"""Streams one answer of a language model: `POST /chat/completions` (platform.openai.com/docs/api-reference/chat)."""

import json
from collections.abc import AsyncGenerator, Iterator, Mapping
from dataclasses import dataclass, field

import httpx

from bot.backends.http import EventReader
from bot.backends.server import ServerApi, find_reason
from bot.core.backend import (
    PredictionState,
    RunEnded,
    RunEvent,
    RunMetrics,
    RunSnapshot,
    RunStarted,
    TextDelta,
)
from bot.core.errors import BackendError, ModelFailed, ModelFlagged, RunLost
from bot.core.json import JSON, as_object, get_object, get_objects, get_text
from bot.core.limits import MAX_ANSWER_CHARACTERS, MAX_SERVER_REPLY_BYTES
from bot.core.models import Metric

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
        counts = {metric: _read_count(self.usage.get(name)) for metric, name in names.items()}
        return RunMetrics(amounts={metric: count for metric, count in counts.items() if count is not None})


def _read_count(value: JSON) -> float | None:
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
