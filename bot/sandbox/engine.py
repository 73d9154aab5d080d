"""Runs predictions: starting → processing → succeeded, failed, canceled or aborted."""

import asyncio
import base64
import json
import logging
from concurrent.futures import Executor
from datetime import timedelta

from bot.core.background_tasks import BackgroundTasks
from bot.sandbox.api.files import OutputFiles
from bot.sandbox.clock import SandboxClock
from bot.sandbox.faults import SETUP_FAILED, FaultKind, SandboxModelFailed, create_failure
from bot.sandbox.input_files import InputFiles, ServerAddress
from bot.sandbox.model import OutputFile, SandboxModel, SandboxOutputKind, SandboxRun
from bot.sandbox.prediction_store import SandboxPrediction, SandboxPredictionStore, SandboxStatus
from bot.sandbox.webhooks import SandboxWebhooks

log = logging.getLogger(__name__)

_BOOT_SECONDS = 0.15
_RUNNING_LIMIT = timedelta(minutes=30)
_MODERATED_AFTER_SECONDS = 0.4


class PredictionEngine:
    """One task runs each prediction; a second task stops the run at the deadline or after 30 minutes."""

    def __init__(
        self,
        clock: SandboxClock,
        store: SandboxPredictionStore,
        webhooks: SandboxWebhooks,
        input_files: InputFiles,
        output_files: OutputFiles,
        address: ServerAddress,
        worker: Executor,
        *,
        speed: float,
        stream_logs: bool,
    ) -> None:
        self._clock = clock
        self._store = store
        self._webhooks = webhooks
        self._input_files = input_files
        self._output_files = output_files
        self._address = address
        self._worker = worker
        self._speed = speed
        self._stream_logs = stream_logs
        self._tasks = BackgroundTasks("sandbox")
        self._tasks_by_prediction: dict[SandboxPrediction, list[asyncio.Task[None]]] = {}

    @property
    def base_url(self) -> str:
        return self._address.url

    def start(self, prediction: SandboxPrediction, model: SandboxModel) -> None:
        """Store the prediction and start the run. Return at once."""
        self._store.add(prediction)
        if prediction.has_fault(FaultKind.CUT):
            prediction.cuts_left = 1
        run = self._tasks.spawn(self._run(prediction, model), f"run {prediction.id}")
        watch = self._tasks.spawn(self._stop_when_over(prediction), f"deadline of {prediction.id}")
        self._tasks_by_prediction[prediction] = [run, watch]

    def cancel(self, prediction: SandboxPrediction) -> None:
        """Stop a prediction now; a finished prediction stays unchanged."""
        self._finish(prediction, SandboxStatus.CANCELED)

    async def close(self) -> None:
        await self._tasks.cancel()
        self._tasks_by_prediction.clear()

    async def _run(self, prediction: SandboxPrediction, model: SandboxModel) -> None:
        try:
            await self._perform(prediction, model)
        except SandboxModelFailed as failure:
            self._finish(prediction, SandboxStatus.FAILED, str(failure))
        except Exception as error:
            log.exception("sandbox.model_broke", extra={"prediction": prediction.id, "model": model.full_name})
            self._finish(prediction, SandboxStatus.FAILED, f"Prediction failed: {type(error).__name__}: {error}")
        else:
            self._finish(prediction, SandboxStatus.SUCCEEDED)

    async def _perform(self, prediction: SandboxPrediction, model: SandboxModel) -> None:
        run = self._create_run(prediction)
        await run.pause(_BOOT_SECONDS)
        await self._delay(prediction, FaultKind.COLDSTART)
        if prediction.has_fault(FaultKind.SETUP):
            raise SandboxModelFailed(SETUP_FAILED)
        prediction.status, prediction.started_at = SandboxStatus.PROCESSING, self._clock.now()
        self._webhooks.notify(prediction, "start")
        if failure := create_failure(prediction.fault, model.nsfw_error):
            await run.pause(_MODERATED_AFTER_SECONDS)
            raise failure
        await self._delay(prediction, FaultKind.SLOW)
        await self._delay(prediction, FaultKind.HANG)
        await model.perform(run)
        self._publish(run, model.output)
        prediction.ready.set_result(prediction.build_body(self.base_url))
        # A blocking create answers here, before the end, as it does at Replicate.
        await asyncio.sleep(0)

    async def _delay(self, prediction: SandboxPrediction, kind: FaultKind) -> None:
        fault = prediction.fault
        if fault and fault.kind is kind:
            await (asyncio.Event().wait() if kind is FaultKind.HANG else self._clock.sleep(fault.magnitude))

    async def _stop_when_over(self, prediction: SandboxPrediction) -> None:
        limit = prediction.created_at + _RUNNING_LIMIT
        await self._clock.sleep_until(min(prediction.deadline or limit, limit))
        self._finish(prediction, SandboxStatus.CANCELED if prediction.started_at else SandboxStatus.ABORTED)

    def _create_run(self, prediction: SandboxPrediction) -> SandboxRun:
        return SandboxRun(
            prediction,
            self._clock,
            self._speed,
            self._worker,
            self._input_files,
            on_text=lambda token: self._stream_token(prediction, token),
            on_log=lambda text: self._add_log(prediction, text),
            on_file=lambda file: self._show_file(prediction, file),
        )

    def _stream_token(self, prediction: SandboxPrediction, token: str) -> None:
        if prediction.output is None:
            prediction.output = []
            prediction.first_output_seconds = (self._clock.now() - prediction.created_at).total_seconds()
        prediction.output.append(token)
        self._append_event(prediction, "output", token)
        self._webhooks.notify(prediction, "output")

    def _show_file(self, prediction: SandboxPrediction, file: OutputFile) -> None:
        url = self._create_output_url(prediction, file, "preview")
        prediction.output = [url]
        self._append_event(prediction, "output", url)
        self._webhooks.notify(prediction, "output")

    def _add_log(self, prediction: SandboxPrediction, text: str) -> None:
        prediction.logs += text
        if self._stream_logs:
            self._append_event(prediction, "logs", text)
        self._webhooks.notify(prediction, "logs")

    def _publish(self, run: SandboxRun, kind: SandboxOutputKind) -> None:
        prediction = run.prediction
        if kind is SandboxOutputKind.TEXT:
            prediction.output = run.text
            self._append_event(prediction, "output", run.text or "")
        elif kind is SandboxOutputKind.OBJECT:
            prediction.output = dict(run.fields)
            self._append_event(prediction, "output", json.dumps(run.fields))
        elif kind is SandboxOutputKind.TRAINING:
            weights = self._output_files.deliver(run.files[0], "trained_model")
            prediction.output = {"version": run.text, "weights": weights}
        elif kind.is_files:
            urls = [self._create_output_url(prediction, file, f"out-{n}") for n, file in enumerate(run.files)]
            prediction.output = urls[0] if kind is SandboxOutputKind.FILE else urls
            for url in urls:
                self._append_event(prediction, "output", url)
        if kind is not SandboxOutputKind.TEXT_STREAM:
            self._webhooks.notify(prediction, "output")

    def _create_output_url(self, prediction: SandboxPrediction, file: OutputFile, name: str) -> str:
        if prediction.has_fault(FaultKind.INLINE):
            return f"data:{file.content_type};base64,{base64.b64encode(file.content).decode()}"
        url = self._output_files.deliver(file, name)
        if prediction.has_fault(FaultKind.EXPIRED):
            self._output_files.withdraw(url)
        return url

    def _append_event(self, prediction: SandboxPrediction, name: str, data: str) -> None:
        prediction.events.append(name, data, int(self._clock.now().timestamp()))

    def _finish(self, prediction: SandboxPrediction, status: SandboxStatus, error: str | None = None) -> None:
        if prediction.status.is_terminal:
            return
        now = self._clock.now()
        prediction.status, prediction.error, prediction.completed_at = status, error, now
        if prediction.started_at:
            prediction.metrics["predict_time"] = round((now - prediction.started_at).total_seconds(), 6)
        prediction.metrics["total_time"] = round((now - prediction.created_at).total_seconds(), 6)
        _close_stream(prediction)
        if not prediction.ready.done():
            prediction.ready.set_result(prediction.build_body(self.base_url))
        self._store.record_finished(prediction)
        self._webhooks.notify(prediction, "completed")
        for task in self._tasks_by_prediction.pop(prediction, ()):
            if task is not asyncio.current_task():
                task.cancel()


def _close_stream(prediction: SandboxPrediction) -> None:
    if prediction.status is SandboxStatus.SUCCEEDED:
        prediction.events.close("done", "{}")
    elif prediction.status is SandboxStatus.FAILED:
        prediction.events.close("error", json.dumps({"detail": prediction.error}))
        prediction.events.close("done", '{"reason": "error"}')
    else:
        prediction.events.close("done", '{"reason": "canceled"}')
