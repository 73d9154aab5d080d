"""The queue, the execution and the history of the stand-in: memory only, as on the server."""

import asyncio
import heapq
import io
import itertools
import json
import struct
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from tests.emulators.comfyui.nodes import NODE_CLASSES, draw_picture

if TYPE_CHECKING:
    from tests.emulators.comfyui.emulator import ComfyUIEmulator

_EXTENSIONS = {"images": "png", "audio": "wav", "gifs": "mp4"}


class ExecutionError(Exception):
    """A node failed. `kind` is the name of the exception's class at the server."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Interrupted(Exception):
    """Somebody stopped the run."""


@dataclass(order=True)
class QueuedRun:
    """One entry of the queue, ordered by its number."""

    number: float
    order: int
    id: str = field(compare=False)
    graph: dict[str, Any] = field(compare=False)
    extra: dict[str, Any] = field(compare=False)
    outputs: list[str] = field(compare=False)
    created_at: float = field(compare=False, default_factory=time.time)

    def to_entry(self) -> list[Any]:
        return [self.number, self.id, self.graph, self.extra, self.outputs]


class ComfyUIRuns:
    """Runs one prompt after the other. `started` lists every id that was put into the queue."""

    def __init__(self, server: "ComfyUIEmulator") -> None:
        self._server = server
        self._order = itertools.count()
        self.started: list[str] = []
        self.reset()

    def reset(self) -> None:
        """Forget everything, as a restart of the server does."""
        self.pending: list[QueuedRun] = []
        self.running: QueuedRun | None = None
        self.history: dict[str, dict[str, Any]] = {}
        self.is_interrupted = False
        self._messages: list[list[Any]] = []
        self._wake = asyncio.Event()

    def put(
        self, prompt_id: str, graph: dict[str, Any], extra: dict[str, Any], outputs: list[str], number: float | None
    ) -> float:
        order = next(self._order)
        run = QueuedRun(order if number is None else number, order, prompt_id, graph, extra, outputs)
        self.started.append(prompt_id)
        heapq.heappush(self.pending, run)
        self._wake.set()
        return run.number

    def find_state(self, prompt_id: str) -> str:
        """Return the status of a job as `/api/jobs` names it, empty for an unknown id."""
        if self.running is not None and self.running.id == prompt_id:
            return "in_progress"
        if any(run.id == prompt_id for run in self.pending):
            return "pending"
        if (entry := self.history.get(prompt_id)) is None:
            return ""
        if entry["status"]["status_str"] == "success":
            return "completed"
        return "cancelled" if entry["status"]["messages"][-1][0] == "execution_interrupted" else "failed"

    def delete_pending(self, prompt_id: str) -> bool:
        found = [run for run in self.pending if run.id == prompt_id]
        for run in found:
            self.pending.remove(run)
            heapq.heapify(self.pending)
        return bool(found)

    def interrupt(self, prompt_id: str) -> bool:
        is_running = self.running is not None and self.running.id == prompt_id
        self.is_interrupted = self.is_interrupted or is_running
        return is_running

    async def work(self) -> None:
        """Execute the queue until cancelled."""
        while True:
            while not self.pending:
                self._wake.clear()
                await self._wake.wait()
            await self._execute(heapq.heappop(self.pending))

    async def _execute(self, run: QueuedRun) -> None:
        self.running, self.is_interrupted, self._messages = run, False, []
        outputs: dict[str, Any] = {}
        await self._say(run, "execution_start", {})
        await self._say(run, "execution_cached", {"nodes": []})
        try:
            results: dict[str, Any] = {}
            for node in run.outputs:
                await self._run_node(run, node, results, outputs)
            await self._say(run, "execution_success", {})
        except Interrupted:
            await self._say(
                run, "execution_interrupted", {"node_id": "?", "executed": list(results)}, is_broadcast=True
            )
        except ExecutionError as error:
            facts = {
                "exception_message": str(error),
                "exception_type": error.kind,
                "node_id": "?",
                "traceback": ["…\n"],
            }
            await self._say(run, "execution_error", facts)
        is_success = self._messages[-1][0] == "execution_success"
        self.running = None
        self.history[run.id] = {
            "prompt": run.to_entry(),
            "outputs": outputs,
            "status": {
                "status_str": "success" if is_success else "error",
                "completed": is_success,
                "messages": self._messages,
            },
            "meta": {},
        }
        if is_success:
            await self._send(run, {"type": "executing", "data": {"node": None, "prompt_id": run.id}})

    async def _run_node(self, run: QueuedRun, node: str, results: dict[str, Any], outputs: dict[str, Any]) -> Any:
        if node in results:
            return results[node]
        entry = run.graph[node]
        inputs = {}
        for name, value in entry["inputs"].items():
            if isinstance(value, list):
                inputs[name] = (await self._run_node(run, value[0], results, outputs))[value[1]]
            else:
                inputs[name] = value
        node_class = NODE_CLASSES[entry["class_type"]]
        await self._send(run, {"type": "executing", "data": {"node": node, "prompt_id": run.id}})
        await self._server.wait_before(entry["class_type"])
        self._check()
        if (failure := self._server.failures.pop(entry["class_type"], None)) is not None:
            raise failure
        if entry["class_type"] == "LoadImage":
            inputs["image"] = Image.open(self._server.input_path(inputs["image"])).convert("RGB")
        if entry["class_type"] == "KSampler":
            await self._sample(run, node, inputs)
        found = node_class.work(inputs)
        if node_class.is_output:
            outputs[node] = {key: self._save(run, entry, key, items) for key, items in found.items()}
            if entry["class_type"] == "SaveVideo":
                outputs[node]["animated"] = [True]
            await self._send(
                run, {"type": "executed", "data": {"node": node, "output": outputs[node], "prompt_id": run.id}}
            )
        results[node] = found
        return found

    async def _sample(self, run: QueuedRun, node: str, inputs: Mapping[str, Any]) -> None:
        steps, latent = inputs["steps"], inputs["latent_image"]
        await self._server.wait_for_listener(run)
        for step in range(1, steps + 1):
            await self._server.wait_before_step(step)
            self._check()
            await self._send(
                run, {"type": "progress", "data": {"value": step, "max": steps, "prompt_id": run.id, "node": node}}
            )
            if run.extra.get("preview_method") in ("latent2rgb", "taesd", "auto"):
                picture = draw_picture(
                    inputs["positive"], inputs["seed"], latent.width // 2, latent.height // 2, step / (steps + 1)
                )
                await self._server.sockets.send_preview(run.extra.get("client_id", ""), picture, run.id, node)

    def _check(self) -> None:
        if self.is_interrupted:
            raise Interrupted

    def _save(self, run: QueuedRun, entry: Mapping[str, Any], key: str, items: Any) -> list[dict[str, Any]]:
        kind = "temp" if entry["class_type"] == "PreviewImage" else "output"
        prefix = Path(entry["inputs"].get("filename_prefix", "ComfyUI_temp"))
        saved = []
        for n, item in enumerate(items if isinstance(items, list) else [items], 1):
            extension = "mp4" if entry["class_type"] == "SaveVideo" else _EXTENSIONS[key]
            name = f"{prefix.name}_{len(self.started):05}_{n}.{extension}"
            folder = self._server.folder / kind / prefix.parent
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(_encode(item, run) if isinstance(item, Image.Image) else item)
            subfolder = "" if str(prefix.parent) == "." else str(prefix.parent)
            saved.append({"filename": name, "subfolder": subfolder, "type": kind})
        if key == "gifs":
            saved = [{**item, "format": "video/h264-mp4", "fullpath": f"/srv/{item['filename']}"} for item in saved]
        return [*saved, *self._server.extra_outputs]

    async def _say(self, run: QueuedRun, kind: str, facts: dict[str, Any], *, is_broadcast: bool = False) -> None:
        data = {"prompt_id": run.id, **facts, "timestamp": int(time.time() * 1000)}
        self._messages.append([kind, data])
        if is_broadcast:
            await self._server.sockets.send_to_all({"type": kind, "data": data})
        else:
            await self._send(run, {"type": kind, "data": data})

    async def _send(self, run: QueuedRun, frame: dict[str, Any]) -> None:
        await self._server.sockets.send(run.extra.get("client_id", ""), frame)


def make_preview_frame(picture: Image.Image, metadata: dict[str, Any] | None) -> bytes:
    """Return a binary frame: kind 4 with metadata, for clients that announced the feature, else kind 1."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG")
    if metadata is None:
        return struct.pack(">II", 1, 1) + buffer.getvalue()
    text = json.dumps({**metadata, "image_type": "image/jpeg"}).encode()
    return struct.pack(">II", 4, len(text)) + text + buffer.getvalue()


def is_canonical_uuid(text: object) -> bool:
    """Return whether a text is a lower-case UUID with hyphens."""
    try:
        return isinstance(text, str) and str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _encode(picture: Image.Image, run: QueuedRun) -> bytes:
    # The whole graph stands in the file, as `SaveImage` writes it.
    metadata = PngInfo()
    metadata.add_text("prompt", json.dumps(run.graph))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=metadata)
    return buffer.getvalue()
