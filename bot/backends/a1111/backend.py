"""A1111 and Forge as a `Backend`: the request is the run, and progress and stop are safe for a sole client only."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from datetime import datetime

from bot.backends.a1111.client import A1111Client, A1111Progress
from bot.backends.a1111.requests import (
    INTERROGATORS,
    PICTURE_FIELDS,
    A1111Request,
    check_is_offered,
    describe_checkpoint,
    describe_interrogator,
    describe_upscaler,
    encode_picture_field,
    find_name,
    make_request,
    read_pictures,
)
from bot.backends.http import read_input_file
from bot.backends.owned_runs import OwnedRuns
from bot.backends.run_errors import explain_failure
from bot.backends.server import ServerBackend
from bot.core.backend import (
    BackendConfig,
    InputFile,
    Inputs,
    InputValue,
    PredictionState,
    RunEnded,
    RunEvent,
    RunMetrics,
    RunPending,
    RunPreview,
    RunProgress,
    RunSnapshot,
    RunStarted,
)
from bot.core.background_tasks import first_completed
from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.errors import BackendError, InputRefused, PredictionGone, RunLost, SubmitUnclear
from bot.core.json import JSON, get_text
from bot.core.models import Model, ModelSchema, Task

PROGRESS_SECONDS = 1.0

CANCEL_SECONDS = 10.0
"""A run still going on so long after an interrupt loses the connection."""

_MAX_REMEMBERED_STOPS = 1_000
_JPEG = b"\xff\xd8"


class A1111Backend(ServerBackend):
    """Runs txt2img, img2img, upscalers and interrogators of one server."""

    finds_runs = False

    def __init__(self, config: BackendConfig, clock: Clock, public_url: str | None = None) -> None:
        """Take no public address: the server sends no webhooks."""
        self._client = A1111Client(config, clock)
        super().__init__(config, self._client.api)
        self._clock = clock
        self._runs = OwnedRuns(config.name, clock)
        self._stopped: RecentItems[str, None] = RecentItems(_MAX_REMEMBERED_STOPS)

    @property
    def is_sole_client(self) -> bool:
        """Whether progress and interrupt mean our own run: both belong to the run in the server's lock."""
        return self.config.at_once == 1

    async def prepare(self, model: Model, inputs: Inputs) -> dict[str, JSON]:
        """Turn pictures into base64. Raise `InputRefused` for a missing checkpoint or upscaler."""
        await self._check_ref(model)
        return {name: await self._prepare_input(name, value) for name, value in inputs.items()}

    async def submit(
        self, model: Model, inputs: Mapping[str, JSON], *, job: str, run: str, cancel_after_seconds: int
    ) -> str:
        """Send the run, and return `run` once the server has the whole request."""
        events = self._follow(make_request(model, inputs, run), run)
        try:
            return await self._runs.start(run, events, max_seconds=cancel_after_seconds)
        except RunLost as error:
            raise SubmitUnclear(str(error)) from error

    def watch(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        """Follow a run. Raise `RunLost` for a run of an earlier process: the reply is lost with the process."""
        return self._runs.watch(backend_id)

    async def cancel(self, backend_id: str) -> None:
        """Interrupt a run if no other client may have the server, and close the connection of a stubborn run."""
        self._stopped[backend_id] = None
        give_up_at = self._clock.monotonic() + CANCEL_SECONDS
        # Again and again: a run that has not begun cannot be interrupted, and would begin without its connection too.
        while self.is_sole_client and await self._interrupt(backend_id):
            if not self._runs.is_running(backend_id) or self._clock.monotonic() > give_up_at:
                break
            await self._clock.sleep(PROGRESS_SECONDS)
        await self._runs.cancel(backend_id)

    async def find(
        self, model: Model, inputs: Mapping[str, JSON], *, run: str, created_after: datetime
    ) -> list[RunSnapshot]:
        """Return no run: the server has no names of runs."""
        return []

    def explain(self, snapshot: RunSnapshot) -> BackendError:
        """Return the error of a run without output."""
        return self._runs.get_error(snapshot.backend_id) or explain_failure(snapshot)

    def is_retryable(self, snapshot: RunSnapshot) -> bool:
        """Return no: the server may still work on a lost run."""
        return False

    async def probe(self) -> str:
        """Return one sentence about the server."""
        count = len(await self._client.list_checkpoints())
        advice = "" if self.is_sole_client else " Set at_once = 1 if nobody else uses it: then progress and Stop work."
        return f"{self._client.service} has {count} checkpoint{'s' * (count != 1)}.{advice}"

    async def list_models(self) -> list[str]:
        """Return the checkpoints, upscalers and interrogators, as `ref` names them."""
        checkpoints, upscalers = await self._client.list_checkpoints(), await self._list_upscalers()
        return [*checkpoints, *upscalers, *(INTERROGATORS if upscalers else ())]

    async def get_schema(self, ref: str, version: str = "") -> ModelSchema:
        """Return the inputs of a checkpoint, upscaler or interrogator. Raise `PredictionGone` for another name."""
        if find_name(ref, await self._client.list_checkpoints()):
            return describe_checkpoint(self.name, ref, await self._client.list_samplers())
        if ref in await self._list_upscalers():
            return describe_upscaler(self.name, ref)
        if ref in INTERROGATORS:
            return describe_interrogator(self.name, ref)
        raise PredictionGone(f"{self._client.service} has no checkpoint, upscaler or interrogator {ref}.")

    async def close(self) -> None:
        await self._runs.close()
        await self._client.close()

    async def _follow(self, request: A1111Request, run: str) -> AsyncGenerator[RunEvent, None]:
        """Yield the events of a run, the first once the server has the request."""
        sent, started_at = asyncio.Event(), self._clock.monotonic()
        reply = asyncio.create_task(self._client.run(request.route, request.body, sent=sent))
        try:
            await first_completed(sent.wait(), asyncio.shield(reply))
            if not reply.done():
                # Behind strangers the run waits silently: only a sole client knows of the start.
                yield RunStarted() if self.is_sole_client else RunPending()
            async for event in self._watch_progress(reply, run):
                yield event
            yield RunEnded(self._make_snapshot(request, run, await reply, self._clock.monotonic() - started_at))
        finally:
            reply.cancel()
            await asyncio.gather(reply, return_exceptions=True)

    async def _watch_progress(self, reply: "asyncio.Task[JSON]", run: str) -> AsyncGenerator[RunEvent, None]:
        """Yield progress and unfinished pictures until the reply comes; nothing beside strangers."""
        percent, preview = 0, b""
        while not reply.done():
            if not self.is_sole_client:
                await asyncio.wait([reply])
                return
            await first_completed(self._clock.sleep(PROGRESS_SECONDS), asyncio.shield(reply))
            progress = None if reply.done() else await self._get_progress()
            if progress is None or not _is_ours(progress, run):
                continue
            if (now := round(100 * progress.fraction)) > percent:
                percent = now
                yield RunProgress(percent)
            if progress.preview and progress.preview != preview:
                preview = progress.preview
                yield RunPreview(preview, "image/jpeg" if preview.startswith(_JPEG) else "image/png")

    async def _get_progress(self) -> A1111Progress | None:
        # stable-diffusion.cpp has no progress, and the reply to the run tells of a lost server.
        with suppress(BackendError):
            return await self._client.get_progress()
        return None

    async def _interrupt(self, run: str) -> bool:
        """Interrupt our run if the run began; false where no interrupt can help: at sd.cpp, and behind a stranger."""
        progress = await self._get_progress()
        if progress is None or (progress.is_running and not _is_ours(progress, run)):
            return False
        if progress.is_running:
            await self._client.interrupt()
        return True

    def _make_snapshot(self, request: A1111Request, run: str, reply: JSON, seconds: float) -> RunSnapshot:
        # An interrupted run ends like a finished run, with the unfinished picture.
        state = PredictionState.CANCELED if run in self._stopped else PredictionState.SUCCEEDED
        is_text = request.route == "interrogate"
        return RunSnapshot(
            run,
            state,
            files=() if is_text else read_pictures(request, reply),
            text=get_text(reply, "caption") if is_text else "",
            metrics=RunMetrics(predict_seconds=seconds),
        )

    async def _check_ref(self, model: Model) -> None:
        service = self._client.service
        if model.task is Task.UPSCALE:
            check_is_offered(service, "upscaler", model.ref, await self._client.list_upscalers())
        elif model.task is Task.CAPTION:
            check_is_offered(service, "interrogator", model.ref, list(INTERROGATORS))
        else:
            check_is_offered(service, "checkpoint", model.ref, await self._client.list_checkpoints())

    async def _list_upscalers(self) -> list[str]:
        # stable-diffusion.cpp may have no such route.
        with suppress(InputRefused):
            return await self._client.list_upscalers()
        return []

    async def _prepare_input(self, name: str, value: InputValue) -> JSON:
        if name not in PICTURE_FIELDS:
            if isinstance(value, tuple | InputFile):
                raise InputRefused(f"{self._client.service} takes no file for {name}. Tell my owner.")
            return value
        files = value if isinstance(value, tuple) else (value,)
        pictures = [file for file in files if isinstance(file, InputFile)]
        if len(pictures) != len(files) or not pictures:
            # The server fetches an address in such a field, where the server's owner allowed addresses.
            raise InputRefused(f"{self._client.service} takes a picture for {name}, and the catalogue sends words.")
        return encode_picture_field(name, [await read_input_file(picture) for picture in pictures])


def _is_ours(progress: A1111Progress, run: str) -> bool:
    return progress.is_running and progress.task in ("", run)
