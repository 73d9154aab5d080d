"""A ComfyUI server on loopback: prompts, queue, history, jobs, uploads, files, descriptions of classes, sockets.

async with ComfyUIEmulator(folder) as comfyui:
    ...  # a backend with the url comfyui.url
    comfyui.hold()  # the next step of a sampler waits
"""

import asyncio
import contextlib
import os
import uuid
from collections import Counter, deque
from pathlib import Path, PurePosixPath
from types import TracebackType
from typing import Any, Self

from aiohttp import web

from tests.emulators.comfyui.nodes import NODE_CLASSES
from tests.emulators.comfyui.runs import ComfyUIRuns, ExecutionError, QueuedRun, is_canonical_uuid
from tests.emulators.comfyui.sockets import ComfyUISockets
from tests.emulators.comfyui.validation import make_error, validate_prompt

_FOLDERS = ("input", "output", "temp")
_LARGEST_BYTES = 100 << 20


class ComfyUIEmulator:
    """`calls` counts requests by "METHOD /path"; `violations` are sentences about acts that harm other clients."""

    def __init__(self, folder: Path, *, version: str = "0.45.2", key: str = "", step_seconds: float = 0.0) -> None:
        self.folder = folder
        self.version = version
        self.key = key
        self.step_seconds = step_seconds
        self.sockets = ComfyUISockets()
        self.runs = ComfyUIRuns(self)
        self.failures: dict[str, ExecutionError] = {}
        """The error of the next node of a class."""
        self.faults: dict[str, deque[str]] = {}
        """For the next calls of "METHOD /path": "drop before", "drop after", "redirect", "huge", or a status."""
        self.awaits_listeners = False
        """Whether a sampler waits until its client listens: what a run says before is lost."""
        self.extra_outputs: list[dict[str, Any]] = []
        self.calls: Counter[str] = Counter()
        self.headers: list[dict[str, str]] = []
        """The headers of each call."""
        self.redirect_to = "http://192.0.2.1"
        self.violations: list[str] = []
        self.url = ""
        self._may_step = asyncio.Event()
        self._may_step.set()
        self._held_step = 0
        self._held_class = ""
        self._runner: web.AppRunner | None = None
        self._worker: asyncio.Task[None] | None = None
        self._port = 0

    async def __aenter__(self) -> Self:
        for name in _FOLDERS:
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before."""
        app = web.Application(client_max_size=_LARGEST_BYTES, middlewares=[self._guard])
        for method, path, handler in self._list_routes():
            for prefix in ("", "/api"):
                app.router.add_route(method, prefix + path, handler)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"
        self._worker = asyncio.create_task(self.runs.work())

    async def stop(self) -> None:
        """Stop the server. A later start has an empty queue and history, as memory is lost."""
        if self._worker is not None:
            self._worker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._worker
        await self.sockets.close()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None
        self.runs.reset()

    def hold(self, *, step: int = 1, before: str = "") -> None:
        """Let samplers wait before a step, or runs before the nodes of a class, until `release`."""
        self._held_step, self._held_class = step, before
        self._may_step.clear()

    def release(self) -> None:
        self._may_step.set()

    async def wait_before_step(self, step: int) -> None:
        await asyncio.sleep(self.step_seconds)
        if not self._held_class and step >= self._held_step:
            await self._wait()

    async def wait_for_listener(self, run: QueuedRun) -> None:
        """Wait until the client of a run has a socket and has looked at the history since."""
        client = run.extra.get("client_id", "")
        while self.awaits_listeners and not (  # noqa: ASYNC110 - two conditions
            self.sockets.has_client(client) and self.calls[f"GET /history/{run.id}"] > 1
        ):
            await asyncio.sleep(0.01)

    async def wait_before(self, class_type: str) -> None:
        # The run of a stranger has no sampler, and waits for the same release.
        if class_type in (self._held_class, "EmptyAudio"):
            await self._wait()

    async def _wait(self) -> None:
        while not self._may_step.is_set() and not self.runs.is_interrupted:  # noqa: ASYNC110 - two conditions
            await asyncio.sleep(0.005)

    def add_stranger(self) -> str:
        """Put a run of another client into the queue; return its id."""
        prompt_id = str(uuid.uuid4())
        graph = {
            "1": {"class_type": "EmptyAudio", "inputs": {"seconds": 0.1}},
            "2": {"class_type": "SaveAudio", "inputs": {"audio": ["1", 0], "filename_prefix": "stranger"}},
        }
        self.runs.put(prompt_id, graph, {"client_id": "stranger"}, ["2"], None)
        return prompt_id

    def input_path(self, name: str) -> Path:
        return self.folder / "input" / name

    def fail_calls(self, call: str, *kinds: str) -> None:
        self.faults.setdefault(call, deque()).extend(kinds)

    def _list_routes(self) -> list[tuple[str, str, Any]]:
        return [
            ("GET", "/system_stats", self._get_stats),
            ("GET", "/ws", self.sockets.serve),
            ("POST", "/prompt", self._post_prompt),
            ("GET", "/queue", self._get_queue),
            ("POST", "/queue", self._post_queue),
            ("POST", "/interrupt", self._post_interrupt),
            ("GET", "/history/{id}", self._get_history),
            ("POST", "/history", self._post_history),
            ("GET", "/jobs/{id}", self._get_job),
            ("POST", "/jobs/{id}/cancel", self._cancel_job),
            ("POST", "/upload/image", self._upload),
            ("GET", "/view", self._view),
            ("GET", "/object_info/{name}", self._get_class),
        ]

    @web.middleware
    async def _guard(self, request: web.Request, handler: Any) -> web.StreamResponse:
        call = f"{request.method} {request.path.removeprefix('/api')}"
        self.calls[call] += 1
        self.headers.append(dict(request.headers))
        if "Origin" in request.headers:
            return web.Response(status=403)
        # A proxy before the server asks for a key: ComfyUI itself has none.
        if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
            return web.Response(status=401)
        plan = self.faults.get(call)
        fault = plan.popleft() if plan else ""
        if fault == "drop before":
            _drop(request)
        elif fault == "redirect":
            raise web.HTTPFound(f"{self.redirect_to}{request.path_qs}")
        elif fault == "huge":
            return await _send_huge(request)
        elif fault.isdigit():
            return web.Response(status=int(fault))
        response: web.StreamResponse = await handler(request)
        if fault == "drop after":
            _drop(request)
        return response

    async def _get_stats(self, request: web.Request) -> web.Response:
        system = {"os": "posix", "comfyui_version": self.version, "python_version": "3.13"}
        devices = [
            {"name": "cuda:0 NVIDIA GeForce RTX 4090", "type": "cuda", "vram_total": 25 << 30, "vram_free": 20 << 30}
        ]
        return web.json_response({"system": system, "devices": devices})

    async def _post_prompt(self, request: web.Request) -> web.Response:
        body = await request.json()
        prompt_id = body.get("prompt_id")
        if not is_canonical_uuid(prompt_id):
            return _refuse(make_error("invalid_prompt_id", "prompt_id must be a canonical UUID", str(prompt_id)), {})
        if "prompt" not in body:
            return _refuse(make_error("no_prompt", "No prompt provided", "No prompt provided"), {})
        if not body.get("client_id"):
            self.violations.append("A prompt came without client_id: cached outputs would be missing.")
        if body.get("front") or "number" in body:
            self.violations.append("A prompt jumped the queue.")
        if self.runs.find_state(prompt_id):
            self.violations.append(f"The id {prompt_id} was sent twice: the run would be made twice.")
        valid = validate_prompt(body["prompt"], lambda name: self._has_input(name))
        if valid.error is not None:
            return _refuse(valid.error, valid.node_errors)
        extra = {**body.get("extra_data", {}), "client_id": body.get("client_id", "")}
        number = self.runs.put(prompt_id, body["prompt"], extra, valid.outputs, None)
        return web.json_response({"prompt_id": prompt_id, "number": number, "node_errors": valid.node_errors})

    async def _get_queue(self, request: web.Request) -> web.Response:
        running = [self.runs.running.to_entry()] if self.runs.running else []
        return web.json_response(
            {"queue_running": running, "queue_pending": [run.to_entry() for run in self.runs.pending]}
        )

    async def _post_queue(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self.violations.append("The whole queue was cleared, with the runs of others.")
        for prompt_id in body.get("delete", []):
            self.runs.delete_pending(prompt_id)
        return web.Response()

    async def _post_interrupt(self, request: web.Request) -> web.Response:
        body = await request.json() if request.can_read_body else {}
        if not body.get("prompt_id"):
            self.violations.append("An interrupt without an id stopped the run of another client.")
        self.runs.interrupt(body.get("prompt_id", ""))
        return web.Response()

    async def _get_history(self, request: web.Request) -> web.Response:
        prompt_id = request.match_info["id"]
        entry = self.runs.history.get(prompt_id)
        return web.json_response({} if entry is None else {prompt_id: entry})

    async def _post_history(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self.violations.append("The whole history was cleared, with the runs of others.")
        for prompt_id in body.get("delete", []):
            self.runs.history.pop(prompt_id, None)
        return web.Response()

    async def _get_job(self, request: web.Request) -> web.Response:
        self._require_jobs(request)
        prompt_id = request.match_info["id"]
        state = self.runs.find_state(prompt_id)
        if not state:
            return web.json_response({"error": "Job not found"}, status=404)
        entry = self.runs.history.get(prompt_id, {})
        return web.json_response({"id": prompt_id, "status": state, "outputs": entry.get("outputs", {})})

    async def _cancel_job(self, request: web.Request) -> web.Response:
        self._require_jobs(request)
        if self._version < (0, 26):
            raise web.HTTPNotFound
        prompt_id = request.match_info["id"]
        return web.json_response({"cancelled": self.runs.delete_pending(prompt_id) or self.runs.interrupt(prompt_id)})

    def _require_jobs(self, request: web.Request) -> None:
        # Unlike the other routes these exist under /api only.
        if not request.path.startswith("/api/"):
            raise web.HTTPNotFound

    @property
    def _version(self) -> tuple[int, ...]:
        return tuple(int(part) for part in self.version.split("."))

    async def _upload(self, request: web.Request) -> web.Response:
        post = await request.post()
        image = post.get("image")
        kind = str(post.get("type") or "input")
        if not isinstance(image, web.FileField) or not image.filename or kind not in _FOLDERS:
            return web.Response(status=400)
        root = self.folder / kind
        subfolder = str(PurePosixPath(str(post.get("subfolder", ""))))
        target = (root / subfolder / image.filename).resolve()
        if not target.is_relative_to(root.resolve()):
            return web.Response(status=400)
        target.parent.mkdir(parents=True, exist_ok=True)
        content = image.file.read()
        stem, extension = os.path.splitext(image.filename)
        number = 1
        while target.exists() and target.read_bytes() != content and post.get("overwrite") not in ("true", "1"):
            target = target.with_name(f"{stem} ({number}){extension}")
            number += 1
        target.write_bytes(content)
        return web.json_response(
            {"name": target.name, "subfolder": "" if subfolder == "." else subfolder, "type": kind}
        )

    async def _view(self, request: web.Request) -> web.StreamResponse:
        name, kind = request.query.get("filename", ""), request.query.get("type", "output")
        if not name or name.startswith("/") or ".." in name or kind not in _FOLDERS:
            self.violations.append(f"A file name climbs out of its folder: {name}")
            return web.Response(status=400)
        root = (self.folder / kind).resolve()
        folder = (root / request.query.get("subfolder", "")).resolve()
        if not folder.is_relative_to(root):
            self.violations.append(f"A subfolder climbs out of its folder: {folder}")
            return web.Response(status=403)
        path = folder / os.path.basename(name)
        return web.FileResponse(path) if path.is_file() else web.Response(status=404)

    async def _get_class(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        return web.json_response({name: NODE_CLASSES[name].to_info()} if name in NODE_CLASSES else {})

    def _has_input(self, name: str) -> bool:
        return (
            self.input_path(name).resolve().is_relative_to((self.folder / "input").resolve())
            and self.input_path(name).is_file()
        )


def _refuse(error: dict[str, Any], node_errors: dict[str, Any]) -> web.Response:
    return web.json_response({"error": error, "node_errors": node_errors}, status=400)


def _drop(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()
    raise asyncio.CancelledError


async def _send_huge(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    with contextlib.suppress(ConnectionError):
        for _ in range(2048):
            await response.write(bytes(1 << 20))
    return response
