"""/paint: the page of a one-time link. A person without an account of the page paints a mask, for one picture."""

import math
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Any

from aiohttp import web

from bot.core import limits
from bot.core.background_tasks import BackgroundTasks
from bot.core.errors import JobNotFound
from bot.core.invocations import Attachment
from bot.core.replies import Tone
from bot.core.token_bucket import TokenBucket
from bot.dispatch.dispatcher import Dispatcher
from bot.dispatch.paint_links import PaintLinks, PaintTask
from bot.media.media import FindPath
from bot.platforms.web import files, request_parsing
from bot.platforms.web.auth import NAME, NO_STORE, Access, Route
from bot.platforms.web.request_parsing import UploadPlaces

_NO_INDEX = {**NO_STORE, "X-Robots-Tag": "noindex"}


class PaintRoutes:
    """Serves the links of `PaintLinks`. The token stands behind "#" in the address, hidden from logs and previews."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        find_path: FindPath,
        assets: Mapping[str, files.Asset],
        uploads: UploadPlaces,
        tasks: BackgroundTasks,
    ) -> None:
        self._dispatcher = dispatcher
        self._find_path = find_path
        self._page = assets["paint.html"]
        self._uploads = uploads
        self._tasks = tasks
        self._wrong_links = TokenBucket(
            time.monotonic, burst=limits.TOKEN_GUESS_BURST, per_second=1 / limits.TOKEN_GUESS_SECONDS
        )

    def routes(self) -> list[Route]:
        return [
            Route("GET", "/paint", Access.PUBLIC, self._serve_page),
            Route("POST", "/api/paint/open", Access.OWN_PAGE, self._open),
            Route("POST", "/api/paint/picture", Access.OWN_PAGE, self._serve_picture),
            Route("POST", "/api/paint/send", Access.OWN_PAGE, self._send),
        ]

    @property
    def _links(self) -> PaintLinks:
        return self._dispatcher.services.paint_links

    async def _serve_page(self, _: web.Request) -> web.StreamResponse:
        return web.Response(body=self._page.body, headers={**_NO_INDEX, "Content-Type": self._page.mime})

    async def _open(self, request: web.Request) -> web.StreamResponse:
        task = await self._find(await request_parsing.read_json(request))
        facts = task.facts
        body = {
            "words": str(facts["options"].get("prompt", "")),
            "model": facts["title"],
            "price": facts["price"],
            "place": "this page" if task.pending.platform == NAME else task.pending.platform.capitalize(),
        }
        return web.json_response(body, headers=_NO_INDEX)

    async def _serve_picture(self, request: web.Request) -> web.StreamResponse:
        task = await self._find(await request_parsing.read_json(request))
        response = await files.serve_picture(task.sha256, "", self._find_path)
        response.headers.update(_NO_INDEX)
        return response

    async def _send(self, request: web.Request) -> web.StreamResponse:
        """Run the request of the link with the mask. A refused mask leaves the link alive, for another try."""
        async with AsyncExitStack() as stack:

            async def take_place(body: Mapping[str, Any]) -> None:
                # A stranger without a link is refused before the file is read.
                task = await self._find(body, is_delivery=True)
                await stack.enter_async_context(self._uploads.take(task.person))

            body, given = await request_parsing.read_files(request, take_place)
            mask = given.get("mask")
            if mask is None:
                raise web.HTTPBadRequest(text="Send the mask.")
            request_id = request_parsing.parse_request_id(body.get("request_id"))
            token = request_parsing.parse_text(body, "token")
            return await self._tasks.run_to_end(self._run(token, request_id, mask), "request")

    async def _run(self, token: str, request_id: str, mask: Attachment) -> web.Response:
        try:
            task = await self._links.take(token, request_id)
        except JobNotFound as error:
            raise web.HTTPGone(text=str(error)) from error
        error_text = "" if task is None else await self._start_job(task, request_id, mask)
        return web.json_response({"error": error_text}, headers=_NO_INDEX)

    async def _start_job(self, task: PaintTask, request_id: str, mask: Attachment) -> str:
        """Start the job of the link; return the sentence of a refusal, empty for an accepted job."""
        try:
            reply = await self._dispatcher.handle(self._links.build_invocation(task, mask))
        except JobNotFound as error:
            return str(error)
        if reply is not None:
            await self._links.give_back(task)
            # A question of confirmation waits in a row, and its buttons would reach nobody here.
            return reply.text if reply.tone is Tone.ERROR else "The price changed. Ask for a new link with /edit."
        await self._links.close(task, request_id)
        return ""

    async def _find(self, body: Mapping[str, Any], *, is_delivery: bool = False) -> PaintTask:
        """Return the task of a request's link. Raise HTTP 410 for a wrong, used or old link, 429 for many of these."""
        token = request_parsing.parse_text(body, "token")
        try:
            if not is_delivery:
                return await self._links.open(token)
            return await self._links.check_delivery(token, request_parsing.parse_request_id(body.get("request_id")))
        except JobNotFound as error:
            seconds = math.ceil(self._wrong_links.seconds_until_available())
            if seconds > 0:
                text = f"Too many wrong links were tried. Please try again in {seconds} seconds."
                raise web.HTTPTooManyRequests(text=text) from error
            self._wrong_links.take()
            raise web.HTTPGone(text=str(error)) from error
