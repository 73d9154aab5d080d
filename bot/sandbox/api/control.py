"""Routes under /sandbox/: order faults, set limits, count predictions, move the clock."""

from collections import Counter
from typing import Any

from aiohttp import web

from bot.sandbox.api.requests import read_json_object
from bot.sandbox.clock import SandboxClock, format_timestamp
from bot.sandbox.faults import FaultKind, FaultPlan, SandboxFault
from bot.sandbox.middlewares import SandboxRateLimit, SandboxRateLimits
from bot.sandbox.prediction_store import SandboxPrediction, SandboxPredictionStore
from bot.sandbox.problems import Problem


class ControlRoutes:
    def __init__(
        self, clock: SandboxClock, store: SandboxPredictionStore, faults: FaultPlan, rates: SandboxRateLimits
    ) -> None:
        self._clock = clock
        self._store = store
        self._faults = faults
        self._rates = rates

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/sandbox/predictions", self._list_predictions),
            web.post("/sandbox/faults", self._arm),
            web.delete("/sandbox/faults", self._disarm),
            web.post("/sandbox/limits", self._change_limits),
            web.post("/sandbox/clock", self._move_clock),
        ]

    async def _arm(self, request: web.Request) -> web.Response:
        """Body: {"next": [{"fault": "oom", "model": "owner/name"?, "times": 1?, "amount": 3.0?}]}."""
        for order in (await read_json_object(request)).get("next", []):
            try:
                fault = SandboxFault.parse(order["fault"], order.get("amount"))
            except (KeyError, TypeError, ValueError) as error:
                known = ", ".join(FaultKind)
                raise Problem(422, f"Each entry of next needs a fault, one of: {known}") from error
            self._faults.arm(fault, order.get("model"), order.get("times", 1))
        return web.Response(status=204)

    async def _disarm(self, _: web.Request) -> web.Response:
        self._faults.disarm()
        return web.Response(status=204)

    async def _change_limits(self, request: web.Request) -> web.Response:
        """Body: {"enforced": true?, "low_credit": true?, "creates": {"per_minute": 60, "burst": 5}?, "others": …?}."""
        body = await read_json_object(request)
        self._rates.change(creates=_parse_limit(body, "creates"), others=_parse_limit(body, "others"))
        self._rates.is_enforced = bool(body.get("enforced", self._rates.is_enforced))
        if "low_credit" in body:
            self._rates.has_low_credit = bool(body["low_credit"])
        return web.Response(status=204)

    async def _move_clock(self, request: web.Request) -> web.Response:
        """Body: {"advance_seconds": 3600}. The reply carries the new time."""
        seconds = (await read_json_object(request)).get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise Problem(422, "advance_seconds must be a number that is not negative")
        self._clock.advance(seconds)
        return web.json_response({"now": format_timestamp(self._clock.now())})

    async def _list_predictions(self, _: web.Request) -> web.Response:
        """List every stored prediction, newest first, with the number of creates for each equal request."""
        predictions = list(self._store.list_newest_first())
        asks = Counter(prediction.fingerprint for prediction in predictions)
        body = {
            "created": self._store.created_count,
            "remembered": len(predictions),
            "statuses": Counter(str(prediction.status) for prediction in predictions),
            "created_more_than_once": sum(count > 1 for count in asks.values()),
            "predictions": [_build_entry(prediction, asks[prediction.fingerprint]) for prediction in predictions],
        }
        return web.json_response(body)


def _build_entry(prediction: SandboxPrediction, times_created: int) -> dict[str, Any]:
    return {
        "id": prediction.id,
        "model": prediction.model,
        "input": prediction.input,
        "status": str(prediction.status),
        "metrics": prediction.metrics,
        "first_output_seconds": prediction.first_output_seconds,
        "created_at": format_timestamp(prediction.created_at),
        "fingerprint": prediction.fingerprint,
        "times_created": times_created,
    }


def _parse_limit(body: dict[str, Any], name: str) -> SandboxRateLimit | None:
    """Return the limit in `body`, or None without a limit."""
    given = body.get(name)
    if given is None:
        return None
    try:
        limit = SandboxRateLimit(int(given["per_minute"]), int(given["burst"]))
    except (KeyError, TypeError, ValueError) as error:
        raise Problem(422, f"{name} needs per_minute and burst") from error
    if min(limit.per_minute, limit.burst) < 1:
        raise Problem(422, f"per_minute and burst of {name} must be above 0")
    return limit
