"""The line of a picture: the pictures that a job was given and that jobs of the workspace made, back to the first.

A given file is known by its SHA-256: kept pictures hold no words, so a picture that comes back is the same file.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from bot.core.jobs import Job, Output
from bot.core.limits import MAX_ANCESTORS
from bot.jobs.work import JobServices

_MAX_SOURCES = 20


@dataclass(frozen=True, slots=True)
class Ancestor:
    """A picture, and the job that made the picture."""

    job: Job
    output: Output


async def find_parents(services: JobServices, job: Job) -> list[Ancestor]:
    """Return the pictures of other jobs that a job was given, in the order of the job's options."""
    if not job.given_files:
        return []
    parents: list[Ancestor] = []
    async with services.database.read() as tx:
        sources = await tx.jobs.find_sources(job, _MAX_SOURCES)
        for source, n in (sources[sha256] for sha256 in job.given_files if sha256 in sources):
            outputs = await tx.outputs.list_outputs(source.prediction)
            parents += [Ancestor(source, output) for output in outputs if output.n == n]
    return parents


async def list_ancestors(services: JobServices, job: Job, may_show: Callable[[Job], Awaitable[bool]]) -> list[Ancestor]:
    """Return at most `MAX_ANCESTORS` pictures from which a job's picture came, the first of the line first.

    The line ends at jobs that `may_show` refuses.
    """
    found: dict[tuple[str, int], Ancestor] = {}
    waiting = [job]
    while waiting and len(found) < MAX_ANCESTORS:
        for parent in await find_parents(services, waiting.pop(0)):
            key = parent.output.prediction, parent.output.n
            if key not in found and await may_show(parent.job):
                found[key] = parent
                waiting.append(parent.job)
    newest_first = sorted(found.values(), key=_get_time, reverse=True)
    return newest_first[:MAX_ANCESTORS][::-1]


def _get_time(ancestor: Ancestor) -> tuple[object, ...]:
    return ancestor.job.created_at, ancestor.job.id, ancestor.output.n
