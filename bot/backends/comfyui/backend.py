"""ComfyUI as a `Backend`: a model is a workflow file in API format, whose inputs the catalogue's entry names."""

import asyncio
import logging
import mimetypes
import secrets
from collections.abc import AsyncGenerator, Mapping
from datetime import datetime

from bot.backends.comfyui.client import ComfyUIClient, make_prompt_id
from bot.backends.comfyui.errors import explain_failure, is_too_old, make_too_old_error
from bot.backends.comfyui.models import read_schema
from bot.backends.comfyui.outputs import ComfyUIRun
from bot.backends.comfyui.watching import LOOK_SECONDS, ComfyUIWatcher
from bot.backends.http import read_input_file
from bot.backends.server import ServerBackend
from bot.core.backend import (
    BackendConfig,
    InputFile,
    Inputs,
    InputValue,
    PredictionState,
    RunEnded,
    RunEvent,
    RunSnapshot,
)
from bot.core.caches import RecentItems
from bot.core.clock import Clock
from bot.core.errors import InputRefused, ModelFailed, PredictionGone
from bot.core.json import JSON, get_object, get_objects, get_text
from bot.core.limits import MAX_OUTPUT_FILES, MAX_SERVER_REPLY_BYTES
from bot.core.models import Model, ModelSchema, OutputKind
from bot.core.workflows import (
    PREFIX_INPUT,
    Workflow,
    WorkflowError,
    fill_in,
    find_input,
    iterate_literals,
    list_seeds,
    list_workflows,
    load_workflow,
)

log = logging.getLogger(__name__)

# All nodes of ComfyUI take a seed of 31 bits; most take 64.
_MAX_SEED = 2**31
_MAX_REMEMBERED_CANCELS = 1_000


class ComfyUIBackend(ServerBackend):
    """Runs workflows on one server, under our own ids: an unclear create is looked up, never repeated blindly."""

    finds_runs = True
    keeps_runs = True

    def __init__(
        self, config: BackendConfig, clock: Clock, public_url: str | None = None, *, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self.client = ComfyUIClient(config, clock)
        super().__init__(config, self.client.api)
        self._clock = clock
        self._look_seconds = look_seconds
        self._cancelled: RecentItems[str, bool] = RecentItems(_MAX_REMEMBERED_CANCELS)

    async def prepare(self, model: Model, inputs: Inputs) -> dict[str, JSON]:
        """Upload files, and draw a seed for each sampler that the entry leaves alone: equal graphs run nothing."""
        workflow = await self.load(model.ref)
        prepared: dict[str, JSON] = {}
        for name, value in inputs.items():
            prepared[name] = await self._upload(value)
        try:
            taken = {find_input(workflow, name) for name in prepared}
        except WorkflowError as error:
            raise self._refuse_workflow(model.ref, error) from error
        seeds = [place for place in list_seeds(workflow) if place not in taken]
        return {**prepared, **{f"{node}.{key}": secrets.randbelow(_MAX_SEED) for node, key in seeds}}

    async def submit(
        self, model: Model, inputs: Mapping[str, JSON], *, job: str, run: str, cancel_after_seconds: int
    ) -> str:
        """Put a run into the server's queue and return its id. Raises as `ComfyUIClient.submit` does."""
        prompt_id = make_prompt_id(run)
        workflow = await self.load(model.ref)
        # A file of its own for each run: a cached file may have been deleted.
        prefixes = {
            f"{node}.{key}": f"{value}-{prompt_id[:8]}"
            for node, key, value in iterate_literals(workflow)
            if key == PREFIX_INPUT
        }
        try:
            graph = fill_in(workflow, {**prefixes, **inputs})
        except WorkflowError as error:
            raise self._refuse_workflow(model.ref, error) from error
        has_preview = model.output is OutputKind.PICTURES and not model.is_adult
        await self.client.submit(graph, prompt_id, model=model.key, has_preview=has_preview)
        return prompt_id

    async def watch(self, model: Model, backend_id: str) -> AsyncGenerator[RunEvent, None]:
        """Follow a run. Raise `PredictionGone` for a run that the server forgot, `BackendDown` while it is away."""
        watcher = ComfyUIWatcher(
            self.client,
            await self._load_for_progress(model.ref),
            backend_id,
            is_cancelled=lambda: backend_id in self._cancelled,
            clock=self._clock,
            look_seconds=self._look_seconds,
        )
        async for event in watcher.watch():
            yield event
        assert watcher.ended is not None  # noqa: S101 - the watch ends with the run
        yield RunEnded(await self._make_snapshot(watcher.ended, model))

    async def cancel(self, backend_id: str) -> None:
        """Stop one run, waiting or running. Harmless for a run that has ended."""
        # Before the call: a waiting run leaves the queue while the reply is on its way.
        self._cancelled[backend_id] = True
        await self.client.cancel(backend_id)

    async def find(
        self, model: Model, inputs: Mapping[str, JSON], *, run: str, created_after: datetime
    ) -> list[RunSnapshot]:
        """Return the run with our id, if the server has it."""
        prompt_id = make_prompt_id(run)
        found = await self.client.find_run(prompt_id)
        if found is None:
            return []
        if isinstance(found, ComfyUIRun):
            return [found.make_snapshot((), is_text=model.output.is_text)]
        return [RunSnapshot(prompt_id, PredictionState.STARTING if found.position else PredictionState.PROCESSING)]

    async def forget(self, backend_id: str) -> None:
        """Delete a run from the server's history, which holds the person's words."""
        await self.client.forget(backend_id)

    def explain(self, snapshot: RunSnapshot) -> ModelFailed:
        """Return the error for an ended run without a result."""
        return explain_failure(snapshot)

    def is_retryable(self, snapshot: RunSnapshot) -> bool:
        """Return False: a failed workflow fails again."""
        return False

    async def probe(self) -> str:
        """Check the connection and the version; return one sentence for the owner."""
        stats = await self.client.get_stats()
        version = get_text(get_object(stats, "system"), "comfyui_version")
        if is_too_old(version):
            raise make_too_old_error()
        devices = [_describe_device(device) for device in get_objects(stats, "devices")]
        return (
            f"{self.name}: ComfyUI {version or 'of an unknown version'} answers, on {' and '.join(devices) or 'CPU'}."
        )

    async def list_models(self) -> list[str]:
        """Return the workflow files beside the catalogue: a server keeps no workflows for others."""
        return await asyncio.to_thread(list_workflows, self.config.folder)

    async def get_schema(self, ref: str, version: str = "") -> ModelSchema:
        """Return the inputs of a workflow file, by the classes of its nodes; and the nodes and files it lacks.

        Raise `PredictionGone` for a file that is no workflow.
        """
        try:
            workflow = await asyncio.to_thread(load_workflow, self.config.folder / ref)
        except WorkflowError as error:
            raise PredictionGone(f"{error}.") from error
        return await read_schema(self.client, workflow, ref)

    async def close(self) -> None:
        """Close connections. Watches are closed by their callers."""
        await self.client.close()

    async def load(self, ref: str) -> Workflow:
        """Return the workflow of a file beside the catalogue. Raise `ModelFailed` for a file that is gone or broken."""
        try:
            return await asyncio.to_thread(load_workflow, self.config.folder / ref)
        except WorkflowError as error:
            raise self._refuse_workflow(ref, error) from error

    async def _load_for_progress(self, ref: str) -> Workflow:
        try:
            return await self.load(ref)
        except ModelFailed:
            return {}  # a run goes on without its file

    def _refuse_workflow(self, ref: str, error: WorkflowError) -> ModelFailed:
        log.error("comfyui.workflow_broken", extra={"workflow": ref, "reason": str(error)})
        return ModelFailed("This model is not set up right: its workflow file has changed. Its owner has to mend it.")

    async def _upload(self, value: InputValue) -> JSON:
        if isinstance(value, tuple):
            raise InputRefused("A workflow takes one picture for each field.")
        if not isinstance(value, InputFile):
            return value
        content = await read_input_file(value)
        # Equal files have equal names, so that the server keeps one of them.
        name = value.sha256[:32] + (mimetypes.guess_extension(value.mime) or "")
        return await self.client.upload(name, content, value.mime)

    async def _make_snapshot(self, run: ComfyUIRun, model: Model) -> RunSnapshot:
        if model.output.is_text or run.state is not PredictionState.SUCCEEDED:
            return run.make_snapshot((), is_text=model.output.is_text)
        if not self.config.key:
            return run.make_snapshot(tuple(map(self.client.make_address, run.files)), is_text=False)
        return run.make_snapshot(tuple(await self._download(run)), is_text=False)

    async def _download(self, run: ComfyUIRun) -> list[bytes]:
        """Return the files of a run behind a proxy with a key, which the bot's fetcher does not have."""
        files: list[bytes] = []
        left_bytes = MAX_SERVER_REPLY_BYTES
        for file in run.files[:MAX_OUTPUT_FILES]:
            if (content := await self.client.download(file, max_bytes=left_bytes)) is not None:
                files.append(content)
                left_bytes -= len(content)
        return files


def _describe_device(device: Mapping[str, JSON]) -> str:
    name = get_text(dict(device), "name") or "an unnamed device"
    total, free = device.get("vram_total"), device.get("vram_free")
    if not isinstance(total, int) or not isinstance(free, int):
        return name
    return f"{name} with {free / 2**30:.0f} of {total / 2**30:.0f} GB free"
