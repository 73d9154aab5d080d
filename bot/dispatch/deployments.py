"""Words about the owner's deployments and their prices, and the daily notice of deployments that idle."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

from bot.catalogue.catalogue import Catalogue
from bot.core.backend import HARDWARE_USD_PER_SECOND, Deployment
from bot.core.background_tasks import BackgroundTasks
from bot.core.errors import EaselError, SubmitUnclear, Unavailable
from bot.core.invocations import PendingAction
from bot.core.replies import Reply
from bot.dispatch.model_runs import ModelRuns
from bot.dispatch.notices import Notices

log = logging.getLogger(__name__)

_SECONDS_AN_HOUR, _HOURS_A_DAY = 3_600, 24
_PENDING_KIND = "idle_deployment"
_DAY = timedelta(days=1)
LOOK_SECONDS = 3_600.0
_FIRST_LOOK_SECONDS = 60.0


def compute_hour_usd(hardware: str) -> Decimal | None:
    """Return the dollars of an instance that runs for an hour; None for hardware without a known price."""
    usd = HARDWARE_USD_PER_SECOND.get(hardware)
    return None if usd is None else usd * _SECONDS_AN_HOUR


def format_hours(hardware: str, instances: int) -> str:
    """Return the price of running instances, such as "$3.51 an hour"."""
    usd = compute_hour_usd(hardware)
    return "a price that I do not know" if usd is None else f"${usd * instances:.2f} an hour"


def format_scale(hardware: str, least: int, most: int) -> str:
    """Return what instances cost while nobody asks, and at most."""
    kept = f"keeps {least} running for {format_hours(hardware, least)} also while nobody asks" if least else ""
    idle = kept or "costs nothing while nobody asks"
    return f"{idle}, and at most {most} for {format_hours(hardware, most)}"


def format_deployment(deployment: Deployment) -> str:
    """Return one line about a deployment."""
    version = f" at version {deployment.version[:12]}…" if deployment.version else ""
    scale = format_scale(deployment.hardware, deployment.min_instances, deployment.max_instances)
    return f"`{deployment.name}` runs {deployment.model}{version} on {deployment.hardware}: it {scale}."


@asynccontextmanager
async def tell_unclear_changes() -> AsyncIterator[None]:
    """Raise `Unavailable` in words for a change that may have arrived: a second deployment costs money."""
    try:
        yield
    except SubmitUnclear as error:
        raise Unavailable(
            "I do not know whether that arrived: look at /deployments list before another try."
        ) from error


class IdleDeployments:
    """Tells the owners once a day of each deployment that runs and that nobody asked for."""

    def __init__(self, runs: ModelRuns, catalogue: Catalogue, notices: Notices) -> None:
        self._runs = runs
        self._catalogue = catalogue
        self._notices = notices
        self._tasks = BackgroundTasks("deployments")

    def start(self) -> None:
        """Look a minute from now and every hour, in the background, where a backend runs deployments."""
        if self._runs.has_deployments:
            self._tasks.spawn(self._run(), "look")

    async def stop(self) -> None:
        """Stop looking."""
        await self._tasks.cancel()

    async def _run(self) -> None:
        # The first minute belongs to people: a restart has jobs to resume, and a demo has not loaded its sandbox.
        await self._runs.clock.sleep(_FIRST_LOOK_SECONDS)
        while True:
            try:
                await self.look()
            except EaselError as error:  # Replicate is away, or the token may not see deployments
                log.info("deployments.unseen", extra={"reason": str(error)})
            await self._runs.clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Tell of each idle deployment that was not told of within a day."""
        async for deployment in self._runs.deployments.list():
            if deployment.min_instances and await self._is_untold(deployment):
                await self._tell(deployment)

    async def _is_untold(self, deployment: Deployment) -> bool:
        """Return whether no job used the deployment in the last day and the owners heard nothing; note the notice."""
        now = self._runs.clock.now()
        keys = [model.key for model in self._catalogue.list_everything() if model.deployment == deployment.name]
        async with self._runs.database.write() as tx:
            if await tx.jobs.was_used_since(keys, now - _DAY):
                return False
            # Also of several processes only one tells.
            notice = PendingAction(
                f"{_PENDING_KIND} {deployment.name}", _PENDING_KIND, "", "", "", "", {}, now, now + _DAY
            )
            return await tx.pending.put_due(notice)

    async def _tell(self, deployment: Deployment) -> None:
        count, hour = deployment.min_instances, compute_hour_usd(deployment.hardware)
        instances = "an instance" if count == 1 else f"{count} instances"
        cost = f"${hour * count * _HOURS_A_DAY:.2f} a day" if hour is not None else "money"
        name = deployment.name.partition("/")[2]
        text = (
            f"The deployment `{deployment.name}` keeps {instances} running on {deployment.hardware}, and nobody asked "
            f"me for it in the last day. That costs {cost}. `/deployments scale {name} --min 0` stops it."
        )
        await self._notices.notify_owners(Reply(text=text))
