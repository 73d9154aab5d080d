"""A server with OpenAI's API as a `Backend`. The reply to a create is the run: nothing can be found after a restart."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from datetime import datetime

import httpx

from bot.backends.openai.inputs import (
    build_chat_body,
    build_form,
    build_picture_fields,
    describe_files,
    list_files,
)
from bot.backends.openai.models import build_schema
from bot.backends.openai.outputs import read_speech, read_transcript, stream_chat, stream_pictures
from bot.backends.owned_runs import OwnedRuns
from bot.backends.run_errors import explain_failure, is_transient
from bot.backends.server import ServerApi, ServerBackend
from bot.core.backend import BackendConfig, Inputs, RunEvent, RunPending, RunSnapshot
from bot.core.clock import Clock
from bot.core.errors import BackendBusy, BackendDown, BackendError, BackendRefusedToken, ModelFailed, PredictionGone
from bot.core.json import JSON, get_objects, get_text
from bot.core.models import Model, ModelSchema, Task

_CONNECT_SECONDS = 5.0

ReadResponse = Callable[[ServerApi, httpx.Response], AsyncGenerator[RunEvent, None]]


class OpenAIBackend(ServerBackend):
    """Runs models of one server."""

    finds_runs = False

    def __init__(self, config: BackendConfig, clock: Clock, public_url: str | None = None) -> None:
        """`public_url` is not needed: these servers call nobody."""
        self.api = ServerApi(config, clock)
        super().__init__(config, self.api)
        self._runs = OwnedRuns(config.name, clock)

    async def prepare(self, model: Model, inputs: Inputs) -> dict[str, JSON]:
        """Return the inputs with the paths of files, which `submit` reads."""
        return describe_files(inputs)

    async def submit(
        self, model: Model, inputs: Mapping[str, JSON], *, job: str, run: str, cancel_after_seconds: int
    ) -> str:
        """Send the request, and return `run` as soon as the server has the request; the reply is the run.

        Raise `BackendDown` if the server cannot be reached: then nothing was spent.
        """
        if model.task is Task.TRANSCRIBE:
            events = await self._upload("/audio/transcriptions", read_transcript, model, inputs, cancel_after_seconds)
        elif model.task is Task.SPEAK:
            body: JSON = {**inputs, "model": model.ref}
            events = self._request("/audio/speech", read_speech, cancel_after_seconds, body)
        elif model.output.is_text:
            body = await asyncio.to_thread(build_chat_body, model, inputs)
            events = self._request("/chat/completions", stream_chat, cancel_after_seconds, body)
        else:
            events = await self._request_pictures(model, inputs, cancel_after_seconds)
        return await self._runs.start(run, events, max_seconds=cancel_after_seconds)

    def watch(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        """Follow a run of this process. Raise `RunLost` for any other run, and for a line that broke without a word."""
        return self._runs.watch(backend_id)

    async def cancel(self, backend_id: str) -> None:
        """Close the run's connection, which ends the run at the server; `max_tokens` bounds servers that go on."""
        await self._runs.cancel(backend_id)

    async def find(
        self, model: Model, inputs: Mapping[str, JSON], *, run: str, created_after: datetime
    ) -> list[RunSnapshot]:
        """Return no run: these servers keep none."""
        return []

    def explain(self, snapshot: RunSnapshot) -> BackendError:
        """Return the error of a run that failed: the server's refusal, or the reason in the snapshot."""
        error = self._runs.get_error(snapshot.backend_id)
        return explain_failure(snapshot) if error is None or type(error) is ModelFailed else error

    def is_retryable(self, snapshot: RunSnapshot) -> bool:
        """Return whether the server was only busy (429)."""
        return isinstance(self._runs.get_error(snapshot.backend_id), BackendBusy) or is_transient(snapshot)

    async def probe(self) -> str:
        """List the models; return one sentence for the owner."""
        if self.config.key_env and not self.config.key:
            raise BackendRefusedToken(f"{self.config.key_env} is not set, which should hold the key.")
        count = len(await self.list_models())
        return f"{self.api.service} answers, with {count} model{'' if count == 1 else 's'}."

    async def list_models(self) -> list[str]:
        """Return the ids of `GET /models`, in the server's order."""
        return [get_text(entry, "id") for entry in await self._list_entries() if get_text(entry, "id")]

    async def get_schema(self, ref: str, version: str = "") -> ModelSchema:
        """Return the fields that the API has for a model. Raise `PredictionGone` for a model that is not listed."""
        for entry in await self._list_entries():
            # Ollama lists `llama3.2:latest`, and takes `llama3.2` too.
            if ref in (get_text(entry, "id"), get_text(entry, "id").removesuffix(":latest")):
                return build_schema(self.config, ref, entry)
        raise PredictionGone(f"{self.api.service} has no model {ref}.")

    async def close(self) -> None:
        """End the runs and close the connections."""
        await self._runs.close()
        await self.api.close()

    async def _list_entries(self) -> list[dict[str, JSON]]:
        return get_objects(await self.api.request_json("GET", "/models"), "data")

    async def _request_pictures(
        self, model: Model, inputs: Mapping[str, JSON], seconds: int
    ) -> AsyncGenerator[RunEvent, None]:
        fields = build_picture_fields(model, inputs)
        if not list_files(inputs):
            return self._request("/images/generations", stream_pictures, seconds, fields)
        return await self._upload("/images/edits", stream_pictures, model, {**inputs, **fields}, seconds)

    async def _upload(
        self, path: str, read: ReadResponse, model: Model, inputs: Mapping[str, JSON], seconds: int
    ) -> AsyncGenerator[RunEvent, None]:
        """Send the files as a form, with the other inputs as its texts."""
        form = await asyncio.to_thread(build_form, inputs)
        names = {name for name, _ in list_files(inputs)}
        fields = {"model": model.ref, **{name: value for name, value in inputs.items() if name not in names}}
        texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in fields.items()}
        return self._request(path, read, seconds, data=texts, files=form)

    async def _request(
        self, path: str, read: ReadResponse, seconds: float, body: JSON = None, **options: object
    ) -> AsyncGenerator[RunEvent, None]:
        """Yield `RunPending` as soon as the request left, then the events of the reply."""
        if body is not None:
            # httpx's own encoder fails on half an emoji (a lone surrogate).
            options = {"content": json.dumps(body).encode(), "headers": {"Content-Type": "application/json"}}
        # A model that is loaded first is silent for minutes: the run's own limit ends the wait.
        timeout = httpx.Timeout(seconds, connect=_CONNECT_SECONDS)
        sent = asyncio.Event()
        replied = self.api.stream("POST", path, sent=sent, timeout=timeout, **options)
        entering = asyncio.create_task(replied.__aenter__())
        try:
            await _wait_until_sent(entering, sent)
            yield RunPending()
            response = await entering
        except BaseException:
            entering.cancel()
            await asyncio.gather(entering, return_exceptions=True)
            raise
        try:
            if response.status_code != 200:
                raise self.api.read_error(await self.api.read_reply(response))
            if "html" in response.headers.get("content-type", ""):
                raise BackendDown(f"{self.api.service} answers with a page for browsers. Is its url right?")
            async with aclosing(read(self.api, response)) as events:
                async for event in events:
                    yield event
        finally:
            await replied.__aexit__(None, None, None)


async def _wait_until_sent(entering: "asyncio.Task[httpx.Response]", sent: asyncio.Event) -> None:
    """Wait until a request left whole. Raise the error of a request that did not leave."""
    waiting = asyncio.create_task(sent.wait())
    try:
        await asyncio.wait([entering, waiting], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
    if entering.done():
        entering.result()
