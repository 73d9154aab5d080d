"""What only the sandbox has, under /sandbox/: order faults, count predictions, move the clock."""

import json
from collections import Counter
from typing import Any

from aiohttp import web

from bot.sandbox.clock import SandboxClock, timestamp
from bot.sandbox.faults import Fault, FaultKind, FaultPlan
from bot.sandbox.predictions import Prediction
from bot.sandbox.problems import Problem
from bot.sandbox.store import PredictionStore


class Control:
    def __init__(self, clock: SandboxClock, store: PredictionStore, faults: FaultPlan) -> None:
        self._clock = clock
        self._store = store
        self._faults = faults

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox/predictions", self._predictions),
            web.post("/sandbox/faults", self._arm),
            web.delete("/sandbox/faults", self._disarm),
            web.post("/sandbox/clock", self._move_clock),
        ]

    async def _arm(self, request: web.Request) -> web.Response:
        """Body: {"next": [{"fault": "oom", "model": "owner/name"?, "times": 1?, "seconds": 3.0?}]}."""
        for order in (await _json(request)).get("next", []):
            try:
                fault = Fault.of(order["fault"], order.get("seconds"))
            except (KeyError, TypeError, ValueError) as error:
                known = ", ".join(FaultKind)
                raise Problem(422, f"Each entry of next needs a fault, one of: {known}") from error
            self._faults.arm(fault, order.get("model"), order.get("times", 1))
        return web.Response(status=204)

    async def _disarm(self, _: web.Request) -> web.Response:
        self._faults.disarm()
        return web.Response(status=204)

    async def _move_clock(self, request: web.Request) -> web.Response:
        """Body: {"advance_seconds": 3600}. Replies with the new time."""
        seconds = (await _json(request)).get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise Problem(422, "advance_seconds must be a number that is not negative")
        self._clock.advance(seconds)
        return web.json_response({"now": timestamp(self._clock.now())})

    async def _predictions(self, _: web.Request) -> web.Response:
        """Every remembered prediction, newest first, and how often each equal ask was created."""
        predictions = list(self._store.newest_first())
        asks = Counter(prediction.fingerprint for prediction in predictions)
        body = {
            "created": self._store.created,
            "remembered": len(predictions),
            "statuses": Counter(str(prediction.status) for prediction in predictions),
            "created_more_than_once": sum(count > 1 for count in asks.values()),
            "predictions": [_entry(prediction, asks[prediction.fingerprint]) for prediction in predictions],
        }
        return web.json_response(body)


def _entry(prediction: Prediction, times_created: int) -> dict[str, Any]:
    return {
        "id": prediction.id,
        "model": prediction.model,
        "input": prediction.input,
        "status": str(prediction.status),
        "metrics": prediction.metrics,
        "created_at": timestamp(prediction.created_at),
        "fingerprint": prediction.fingerprint,
        "times_created": times_created,
    }


async def _json(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except ValueError as error:
        raise Problem(400, f"JSON parse error - {error}") from error
    if not isinstance(body, dict):
        raise Problem(422, "The body must be an object")
    return body
