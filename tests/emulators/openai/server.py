"""OpenAI's API on loopback, as Ollama, vLLM, OpenRouter and OpenAI each serve it. A test scripts the next runs.

Rules, read on 2026-11-30: Ollama takes pictures as data: URLs alone and has no routes for pictures; OpenRouter sends
comments, and failures inside the stream on HTTP 200; OpenAI refuses `max_tokens` for reasoning models and unknown
fields, and a mask must be a PNG with alpha in the size of the picture. Ollama and OpenRouter name thoughts `reasoning`,
vLLM of that time `reasoning_content`.
"""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from aiohttp import web
from PIL import Image

KEY = "sk-stand-in-1234567890"
CHAT_MODEL, PICTURE_MODEL = "acme/talker", "acme-image-1"
_CHAT_FIELDS = {
    *("model", "messages", "stream", "stream_options", "temperature", "max_tokens", "max_completion_tokens", "tools"),
}
_PICTURE_FIELDS = {"model", "prompt", "n", "size", "quality", "background", "output_format", "image", "image[]", "mask"}
_SOUND_EXTENSIONS = {"flac", "m4a", "mp3", "mp4", "mpeg", "mpga", "oga", "ogg", "wav", "webm"}
_MAX_SPOKEN_CHARACTERS = 4_096


class Flavour(StrEnum):
    """A kind of server."""

    OLLAMA = "ollama"
    VLLM = "vllm"
    OPENROUTER = "openrouter"
    OPENAI = "openai"


@dataclass(frozen=True)
class ScriptedReply:
    """The behaviour of the next runs."""

    words: tuple[str, ...] = ("A ", "short ", "answer.")
    call_fragments: tuple[str, ...] = ()
    """The arguments of a call of `imagine`, in the pieces of the stream."""
    thoughts: str = ""
    has_usage: bool = True
    finish_reason: str = "stop"
    hangs_after: int | None = None
    """The number of words after which the run waits for `released`."""
    breaks_after: int | None = None
    """The number of words after which the connection breaks."""
    stream_error: str = ""
    """A failure inside the stream, on HTTP 200."""
    status: int = 200
    error: Any = None
    """The body of a refusal."""
    location: str = ""
    """The target of a redirect."""
    picture: bytes = b""
    """The bytes of a picture, or of a sound for /audio/speech."""
    body: bytes | None = None
    """A raw reply in the place of a run."""


def refuse(status: int, message: str, flavour: Flavour) -> web.Response:
    kind = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    body: dict[str, Any] = {"detail": message} if flavour is Flavour.VLLM else {"error": kind}
    return web.json_response(body, status=status)


@dataclass
class OpenAIServer:
    """Keeps every request.

    `running` are open runs, `most_running` their maximum so far; `left` counts clients that left in the middle.
    """

    flavour: Flavour = Flavour.OLLAMA
    script: ScriptedReply = field(default_factory=ScriptedReply)
    requests: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    uploads: list[dict[str, bytes]] = field(default_factory=list)
    running: int = 0
    most_running: int = 0
    left: int = 0
    url: str = ""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    runner: web.AppRunner | None = None

    def will(self, **changes: Any) -> None:
        self.script = replace(self.script, **changes)

    async def stop(self) -> None:
        """Close the port. Harmless the second time."""
        if self.runner is not None:
            await self.runner.cleanup()

    def routes(self) -> list[web.RouteDef]:
        common = [web.get("/v1/models", self.list_models), web.post("/v1/chat/completions", self.chat)]
        if self.flavour in (Flavour.OLLAMA, Flavour.OPENROUTER):
            return common
        pictures = [web.post("/v1/images/generations", self.draw), web.post("/v1/images/edits", self.edit)]
        sound = [web.post("/v1/audio/transcriptions", self.transcribe), web.post("/v1/audio/speech", self.speak)]
        return [*common, *pictures, *sound]

    async def list_models(self, request: web.Request) -> web.StreamResponse:
        if (refusal := self._check_key(request)) is not None:
            return refusal
        entries: list[dict[str, Any]] = [{"id": CHAT_MODEL}, {"id": PICTURE_MODEL}]
        if self.flavour is Flavour.OPENROUTER:
            architecture = {"input_modalities": ["text", "image"], "output_modalities": ["text"]}
            entries[0] |= {"architecture": architecture, "pricing": {"prompt": "0.000002", "completion": "0.000008"}}
        return web.json_response({"object": "list", "data": entries})

    async def chat(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self._keep(request, body)
        if (refusal := self._check_key(request) or self._check_chat(body) or self._refuse_by_script()) is not None:
            return refusal
        if self.script.body is not None:
            return web.Response(body=self.script.body, content_type="text/event-stream")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            await self._stream(request, response, include_usage=bool(body.get("stream_options")))
        except (ConnectionResetError, asyncio.CancelledError):
            self.left += 1
            raise
        finally:
            self.running -= 1
        return response

    async def draw(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self._keep(request, body)
        if (refusal := self._check_key(request) or self._check_fields(body, _PICTURE_FIELDS)) is not None:
            return refusal
        return await self._answer_with_pictures(int(body.get("n", 1)))

    async def edit(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        files = {name: value for name, value in form.items() if isinstance(value, web.FileField)}
        body = {name: value for name, value in form.items() if isinstance(value, str)}
        self._keep(request, body)
        self.uploads.append({name: value.file.read() for name, value in files.items()})
        if (refusal := self._check_key(request) or self._check_fields(dict(form), _PICTURE_FIELDS)) is not None:
            return refusal
        if not files.keys() & {"image", "image[]"}:
            return refuse(400, "Missing required parameter: 'image'.", self.flavour)
        if (mask := self.uploads[-1].get("mask")) is not None and (wrong := self._find_mask_fault(mask)):
            return refuse(400, wrong, self.flavour)
        return await self._answer_with_pictures(int(body.get("n", "1")))

    async def transcribe(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        self._keep(request, {name: value for name, value in form.items() if isinstance(value, str)})
        if (refusal := self._check_key(request) or self._refuse_by_script()) is not None:
            return refusal
        file = form.get("file")
        if not isinstance(file, web.FileField) or file.filename.rpartition(".")[2] not in _SOUND_EXTENSIONS:
            return refuse(400, "Unrecognized file format.", self.flavour)
        self.uploads.append({file.filename: file.file.read()})
        if form.get("response_format") == "verbose_json":
            segments = [{"start": 0.0, "end": 40.0, "text": " Hello."}, {"start": 40.0, "end": 90.0, "text": " Bye."}]
            usage: dict[str, Any] = {"type": "duration", "seconds": 90}
            return web.json_response({"text": "Hello. Bye.", "segments": segments, "duration": 90.0, "usage": usage})
        usage = {"type": "tokens", "input_tokens": 14, "output_tokens": 45, "total_tokens": 59}
        return web.json_response({"text": "".join(self.script.words), "usage": usage})

    async def speak(self, request: web.Request) -> web.StreamResponse:
        body = json.loads(await request.read())
        self._keep(request, body)
        if (refusal := self._check_key(request) or self._refuse_by_script()) is not None:
            return refusal
        if len(body["input"]) > _MAX_SPOKEN_CHARACTERS or "voice" not in body:
            return refuse(400, "Invalid 'input' or 'voice'.", self.flavour)
        return web.Response(body=self.script.picture, content_type="audio/wav")

    def _find_mask_fault(self, mask: bytes) -> str:
        upload = self.uploads[-1]
        with Image.open(io.BytesIO(mask)) as opened, Image.open(io.BytesIO(upload["image"])) as picture:
            if opened.format != "PNG" or "A" not in opened.getbands():
                return "Invalid mask: it has to be a PNG with an alpha channel."
            return "" if opened.size == picture.size else "Invalid mask: its size is not the picture's."

    async def _answer_with_pictures(self, count: int) -> web.StreamResponse:
        if (refusal := self._refuse_by_script()) is not None:
            return refusal
        self.running += 1
        self.most_running = max(self.most_running, self.running)
        try:
            if self.script.hangs_after is not None:
                await self.released.wait()
        except asyncio.CancelledError:
            self.left += 1
            raise
        finally:
            self.running -= 1
        if self.script.body is not None:
            return web.Response(body=self.script.body, content_type="text/event-stream")
        encoded = base64.b64encode(self.script.picture).decode()
        usage = {"input_tokens": 20, "output_tokens": 100 * count}
        return web.json_response({"created": 1, "data": [{"b64_json": encoded}] * count, "usage": usage})

    def _keep(self, request: web.Request, body: dict[str, Any]) -> None:
        self.requests.append(body)
        self.headers.append(dict(request.headers))

    def _check_key(self, request: web.Request) -> web.Response | None:
        if self.flavour is Flavour.OLLAMA or request.headers.get("Authorization") == f"Bearer {KEY}":
            return None
        # OpenAI quotes the key in its refusal.
        given = request.headers.get("Authorization", "").removeprefix("Bearer ")
        return refuse(401, f"Incorrect API key provided: {given}.", self.flavour)

    def _check_chat(self, body: dict[str, Any]) -> web.Response | None:
        if not body.get("stream"):
            return refuse(400, "This stand-in wants stream: true, as the bot must always ask.", self.flavour)
        if "max_tokens" not in body and "max_completion_tokens" not in body:
            return refuse(400, "This stand-in wants a bound of tokens, as the bot must always give.", self.flavour)
        if self.flavour is Flavour.OPENAI and "max_tokens" in body:
            return refuse(
                400, "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.", self.flavour
            )
        if body["model"] != CHAT_MODEL:
            return refuse(404, f"model '{body['model']}' not found", self.flavour)
        parts = [
            part for message in body["messages"] if isinstance(message["content"], list) for part in message["content"]
        ]
        urls = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        if self.flavour is Flavour.OLLAMA and not all(url.startswith("data:image/") for url in urls):
            return refuse(400, "invalid image input", self.flavour)
        return self._check_fields(body, _CHAT_FIELDS)

    def _check_fields(self, body: dict[str, Any], known: set[str]) -> web.Response | None:
        if self.flavour is Flavour.OPENAI and (unknown := body.keys() - known):
            return refuse(400, f"Unknown parameter: '{sorted(unknown)[0]}'.", self.flavour)
        return None

    def _refuse_by_script(self) -> web.Response | None:
        script = self.script
        if script.location:
            return web.Response(status=script.status, headers={"Location": script.location})
        if script.status == 200:
            return None
        if isinstance(script.error, str):
            return refuse(script.status, script.error, self.flavour)
        return web.json_response(script.error, status=script.status)

    async def _stream(self, request: web.Request, response: web.StreamResponse, *, include_usage: bool) -> None:
        script = self.script
        if self.flavour is Flavour.OPENROUTER:
            await response.write(b": OPENROUTER PROCESSING\n\n")
        if script.thoughts:
            name = "reasoning_content" if self.flavour is Flavour.VLLM else "reasoning"
            await self._send_delta(response, {name: script.thoughts})
        for n, word in enumerate(script.words):
            await self._pause_or_break(request, script, n)
            await self._send_delta(response, {"content": word})
        for n, fragment in enumerate(script.call_fragments):
            function = {"name": "imagine", "arguments": fragment} if n == 0 else {"arguments": fragment}
            await self._send_delta(response, {"tool_calls": [{"index": 0, "id": "c", "function": function}]})
        await self._pause_or_break(request, script, len(script.words))
        if script.stream_error:
            await self._send(response, {"error": {"code": 502, "message": script.stream_error}, "choices": []})
            return
        await self._send_delta(response, {}, script.finish_reason)
        if include_usage and script.has_usage:
            usage = {"prompt_tokens": 40, "completion_tokens": 30, "total_tokens": 70}
            await self._send(response, {"choices": [], "usage": usage})
        await response.write(b"data: [DONE]\n\n")

    async def _pause_or_break(self, request: web.Request, script: ScriptedReply, words: int) -> None:
        if script.breaks_after == words and request.transport is not None:
            request.transport.abort()
            raise ConnectionResetError
        if script.hangs_after == words:
            await self.released.wait()

    async def _send_delta(self, response: web.StreamResponse, delta: dict[str, Any], finish: str | None = None) -> None:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        await self._send(response, {"id": "c1", "choices": [choice], "usage": None, "obfuscation": "x"})

    async def _send(self, response: web.StreamResponse, chunk: dict[str, Any]) -> None:
        await response.write(f"data: {json.dumps(chunk)}\n\n".encode())


@asynccontextmanager
async def open_openai_server(flavour: Flavour = Flavour.OLLAMA, port: int = 0) -> AsyncIterator[OpenAIServer]:
    """Serve on loopback. `url` ends in /v1."""
    server = OpenAIServer(flavour)
    app = web.Application(client_max_size=64 * 1024**2)
    app.add_routes(server.routes())
    # A client that leaves cancels its handler, as these servers stop a run then.
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    server.runner = runner
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    try:
        yield server
    finally:
        server.released.set()
        await server.stop()
