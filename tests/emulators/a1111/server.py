"""A server that speaks `/sdapi/v1` as A1111, Forge or stable-diffusion.cpp do, and refuses what they refuse.

The rules are those of A1111's modules/api/api.py: one lock for all runs, progress and interrupt of whichever run has
the lock, errors as `{error, detail, body, errors}`, `info` as JSON in a text.
"""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from aiohttp import web
from PIL import Image

Body = dict[str, Any]

CHECKPOINTS = ("v1-5-pruned.safetensors [6ce0161689]", "sdxl/base.safetensors [31e35c80fc]")
SAMPLERS = ("Euler a", "DPM++ 2M")
UPSCALERS = ("None", "R-ESRGAN 4x+")
_NUMBERS = {
    "width": int,
    "height": int,
    "steps": int,
    "seed": int,
    "batch_size": int,
    "n_iter": int,
    "cfg_scale": float,
    "denoising_strength": float,
    "upscaling_resize": float,
    "gfpgan_visibility": float,
}
STEP_SECONDS = 0.02


class A1111Flavour(StrEnum):
    """Whose server it is."""

    A1111 = "a1111"
    FORGE = "forge"
    SDCPP = "sdcpp"


@dataclass
class A1111Run:
    """A run of the lock: its progress, and whether somebody interrupted it."""

    route: str
    body: Body
    steps: int
    done: int = 0
    is_interrupted: bool = False
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    """Set unless the test wants the run to stay at half of its steps."""


class HttpError(Exception):
    """What A1111 raises as `HTTPException`."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status, self.detail = status, detail


class A1111Server:
    """The server of one test. `runs` has every run that took the lock."""

    def __init__(self, flavour: A1111Flavour = A1111Flavour.A1111, *, login: str = "") -> None:
        self.flavour = flavour
        self.url = ""
        self.runs: list[A1111Run] = []
        self.progress_requests = 0
        self.list_requests: list[str] = []
        """The routes of lists that a client asked for."""
        self.checkpoint = CHECKPOINTS[0]
        self.gives_grids = False
        self.loaded = asyncio.Event()
        """Set unless the test wants the server to load its checkpoint for ever."""
        self.loaded.set()
        self.holds_runs = False
        self.fails_with = ""
        """The text of a Python error that each run raises."""
        self._login = login
        self._lock = asyncio.Lock()
        self._current: A1111Run | None = None
        self._runner: web.AppRunner | None = None

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["A1111Server"]:
        """Listen on a free port while the context is open."""
        app = web.Application(middlewares=[self._answer_errors], client_max_size=64 * 1024 * 1024)
        prefix = "/sdapi/v1/"
        posts = {"txt2img": self._txt2img, "img2img": self._img2img}
        gets: dict[str, Callable[[], Any]] = {
            "sd-models": lambda: [{"title": name, "model_name": name.split(".")[0]} for name in CHECKPOINTS],
            "samplers": lambda: [{"name": name, "aliases": [], "options": {}} for name in SAMPLERS],
            "upscalers": lambda: [{"name": name, "model_path": None, "scale": 4} for name in UPSCALERS],
        }
        if self.flavour is not A1111Flavour.SDCPP:
            posts |= {"extra-single-image": self._upscale, "interrogate": self._interrogate}
            app.router.add_get(f"{prefix}progress", self._progress)
            app.router.add_post(f"{prefix}interrupt", self._interrupt)
        for route, handle in posts.items():
            app.router.add_post(prefix + route, _read_body(handle))
        for route, give in gets.items():
            app.router.add_get(prefix + route, self._give(route, give))
        runner = self._runner = web.AppRunner(app, handler_cancellation=False, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        try:
            yield self
        finally:
            await self.stop()

    @property
    def is_working(self) -> bool:
        """Whether a run has the lock."""
        return self._current is not None

    async def stop(self) -> None:
        """Take the server away, in the middle of its replies."""
        runner, self._runner = self._runner, None
        if runner is None or runner.server is None:
            return
        for connection in runner.server.connections:
            if connection.transport is not None:
                connection.transport.abort()
        self.release()
        await runner.cleanup()

    def release(self) -> None:
        """Let held runs go on."""
        self.holds_runs = False
        self.loaded.set()
        for run in self.runs:
            run.hold.set()

    @web.middleware
    async def _answer_errors(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        login = base64.b64encode(self._login.encode()).decode()
        # A proxy before the server takes a bearer token instead.
        expected = f"Basic {login}" if ":" in self._login else f"Bearer {self._login}"
        try:
            if self._login and request.headers.get("Authorization") != expected:
                raise HttpError(401, "Incorrect username or password")
            return await handler(request)
        except HttpError as error:
            return _describe_error(error.status, "HTTPException", error.detail, str(error))
        except web.HTTPException as error:
            return web.json_response({"detail": error.reason}, status=error.status)
        except RuntimeError as error:
            return _describe_error(500, type(error).__name__, "", str(error))

    async def _txt2img(self, body: Body) -> Body:
        return await self._draw("txt2img", body, None)

    async def _img2img(self, body: Body) -> Body:
        if body.get("init_images") is None:
            raise HttpError(404, "Init image not found")
        pictures = [decode_picture(text) for text in body["init_images"]]
        if body.get("mask"):
            decode_picture(body["mask"])
        return await self._draw("img2img", body, pictures[0])

    async def _draw(self, route: str, body: Body, given: Image.Image | None) -> Body:
        sampler = body.get("sampler_name", SAMPLERS[0])
        if sampler not in SAMPLERS:
            raise HttpError(404, "Sampler not found")
        async with self._lock:
            settings = body.get("override_settings", {})
            wanted = settings.get("sd_model_checkpoint", self.checkpoint)
            # A checkpoint that is not there leaves the one that is loaded, without a word.
            used = next((name for name in CHECKPOINTS if wanted in (name, name.rpartition(" [")[0])), self.checkpoint)
            if self.flavour is A1111Flavour.FORGE or not body.get("override_settings_restore_afterwards", True):
                self.checkpoint = used
            run = await self._work(route, {**body, "checkpoint_used": used}, body.get("steps", 20))
        count = body.get("batch_size", 1) * body.get("n_iter", 1)
        size = (body.get("width", 512), body.get("height", 512))
        colour = (0, 0, 0) if run.is_interrupted else (body.get("seed", 1) % 256, 90, 30)
        pictures = [given.copy() if given else Image.new("RGB", size, colour) for _ in range(count)]
        has_grid = self.gives_grids and count > 1
        grid = [Image.new("RGB", (size[0] * count, size[1]))] if has_grid else []
        info = {"seed": body.get("seed", 1), "all_seeds": [], "index_of_first_image": int(has_grid)}
        is_sdcpp = self.flavour is A1111Flavour.SDCPP
        return {
            "images": [encode_picture(picture) for picture in (*grid, *pictures)],
            "parameters": body,
            "info": "" if is_sdcpp else json.dumps(info),
        }

    async def _upscale(self, body: Body) -> Body:
        picture = decode_picture(body.get("image") or "")
        if body.get("upscaler_1", "None") not in UPSCALERS:
            raise RuntimeError(f"could not find upscaler named {body['upscaler_1']}")
        async with self._lock:
            await self._work("extra-single-image", body, 1)
        factor = body.get("upscaling_resize", 2)
        size = (int(picture.width * factor), int(picture.height * factor))
        return {"html_info": "", "image": encode_picture(picture.resize(size))}

    async def _interrogate(self, body: Body) -> Body:
        if not body.get("image"):
            raise HttpError(404, "Image not found")
        picture = decode_picture(body["image"])
        if body.get("model") not in ("clip", "deepdanbooru"):
            raise HttpError(404, "Model not found")
        async with self._lock:
            await self._work("interrogate", body, 1)
        return {"caption": f"a picture of {picture.width} by {picture.height} pixels"}

    async def _work(self, route: str, body: Body, steps: int) -> A1111Run:
        # Loading a checkpoint takes a while in which no run has the progress.
        await self.loaded.wait()
        run = A1111Run(route, body, steps)
        if not self.holds_runs:
            run.hold.set()
        self.runs.append(run)
        self._current = run
        try:
            if self.fails_with:
                raise RuntimeError(self.fails_with)
            while run.done < steps and not run.is_interrupted:
                if run.done >= steps // 2 and not run.hold.is_set():
                    await asyncio.sleep(STEP_SECONDS)
                    continue
                await asyncio.sleep(STEP_SECONDS / steps)
                run.done += 1
        finally:
            self._current = None
        return run

    def _give(self, route: str, make: Callable[[], Any]) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def answer(_: web.Request) -> web.Response:
            self.list_requests.append(route)
            return web.json_response(make())

        return answer

    async def _progress(self, request: web.Request) -> web.Response:
        self.progress_requests += 1
        run = self._current
        reply: Body = {"progress": 0.0, "eta_relative": 0.0, "state": {"job_count": 0}, "current_image": None}
        if run is not None:
            # Until the first step the number of pictures is not known: A1111 says -1.
            count = 1 if run.done else -1
            reply |= {"progress": 0.01 + run.done / run.steps, "state": {"job_count": count, "sampling_step": run.done}}
            if request.query.get("skip_current_image") != "true":
                reply["current_image"] = encode_picture(Image.new("RGB", (8, 8), (run.done % 256, 0, 0)))
        if self.flavour is A1111Flavour.FORGE:
            reply["current_task"] = None if run is None else run.body.get("force_task_id")
        return web.json_response(reply)

    async def _interrupt(self, _: web.Request) -> web.Response:
        if self._current is not None:
            self._current.is_interrupted = True
        return web.json_response({})


def _read_body(handle: Callable[[Body], Awaitable[Body]]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        body = await request.json()
        wrong = [name for name, kind in _NUMBERS.items() if name in body and not _is_number(body[name], kind)]
        if not isinstance(body.get("prompt", ""), str):
            wrong.append("prompt")
        if wrong:
            detail = [{"loc": ["body", name], "msg": "value is not valid", "type": "type_error"} for name in wrong]
            return web.json_response({"detail": detail}, status=422)
        return web.json_response(await handle(body))

    return answer


def _is_number(value: object, kind: type) -> bool:
    return isinstance(value, int if kind is int else (int, float)) and not isinstance(value, bool)


def _describe_error(status: int, name: str, detail: str, errors: str) -> web.Response:
    return web.json_response({"error": name, "detail": detail, "body": "", "errors": errors}, status=status)


def decode_picture(text: str) -> Image.Image:
    if text.startswith(("http://", "https://")):
        raise HttpError(500, "Requests not allowed")
    if text.startswith("data:image/"):
        text = text.split(",")[1]
    try:
        return Image.open(io.BytesIO(base64.b64decode(text)))
    except Exception as error:
        raise HttpError(500, "Invalid encoded image") from error


def encode_picture(picture: Image.Image) -> str:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()
