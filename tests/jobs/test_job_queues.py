"""The lines of one process: a model's, all runs', and the creates'; and the share of several processes."""

import asyncio
from dataclasses import replace

import pytest

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loading import BUILT_IN_PATH, load_catalogue
from bot.core.jobs import Job
from bot.core.models import Model
from bot.core.people import User
from bot.jobs.job_queues import JobQueues, QueuePosition, QueueSlot, compute_share
from bot.jobs.placeholder import has_position_changed
from tests.fakes.samples import make_job

ANY = Catalogue(load_catalogue(BUILT_IN_PATH)).get("flux-schnell")
FEW = replace(ANY, key="few", at_once=2)


def of(who: str) -> Job:
    return make_job(user=User("web", "page", who, who))


def joined(queue: JobQueues, who: str, model: Model = ANY) -> QueueSlot:
    turn = queue.slot_for_run(of(who), model)
    turn.join()
    return turn


def test_a_model_that_allows_few_holds_up_only_its_own() -> None:
    queue = JobQueues(10)
    few = [joined(queue, "ana", FEW) for _ in range(3)]

    other = joined(queue, "ana")

    assert [turn.is_granted for turn in few] == [True, True, False]
    assert other.is_granted
    assert few[2].get_position(0) == QueuePosition(1, 2)


async def test_a_job_stands_in_its_models_line_and_then_in_the_common_one() -> None:
    queue = JobQueues(1)
    running, waiting = joined(queue, "ana"), joined(queue, "ben", FEW)
    coming = asyncio.create_task(waiting.wait())
    await asyncio.sleep(0)
    assert (waiting.is_granted, waiting.get_position(0)) == (False, QueuePosition(1, 1))

    running.leave()

    await asyncio.wait_for(coming, 1)
    assert waiting.is_granted


async def test_who_leaves_from_anywhere_gives_everything_back() -> None:
    queue = JobQueues(1)
    running = joined(queue, "ana")
    in_common, in_own = joined(queue, "ben", FEW), [joined(queue, "cleo", FEW) for _ in range(2)]

    for turn in (in_common, *in_own, running):
        turn.leave()
        turn.leave()

    assert joined(queue, "dora", FEW).is_granted


def test_a_job_that_runs_already_waits_for_nobody() -> None:
    queue = JobQueues(1)
    taken_up = queue.slot_for_run(of("ana"), FEW)
    taken_up.occupy()
    behind = joined(queue, "ben")

    assert taken_up.is_granted
    assert not behind.is_granted
    taken_up.leave()
    assert behind.is_granted


def test_nobody_knows_how_fast_creates_come() -> None:
    queue = JobQueues(10)
    first, second = queue.slot_for_create(of("ana")), queue.slot_for_create(of("ben"))
    first.join()
    second.join()

    assert (first.is_granted, second.is_granted, second.get_position(0)) == (True, False, QueuePosition(1, None))


def test_somebody_with_much_waiting_is_due_later() -> None:
    queue = JobQueues(1)
    running = joined(queue, "ana")
    for _ in range(3):
        joined(queue, "ana")

    assert queue.slot_for_run(of("ana"), ANY).finish_time > queue.slot_for_run(of("ben"), ANY).finish_time
    assert not running.get_position(0)


@pytest.mark.parametrize(
    ("at_once", "processes", "shares"),
    [(10, 1, [10]), (10, 3, [4, 3, 3]), (2, 2, [1, 1]), (1, 3, [1, 1, 1])],
)
def test_processes_share_what_a_model_allows(at_once: int, processes: int, shares: list[int]) -> None:
    assert [compute_share(at_once, number, processes) for number in range(processes)] == shares


def test_a_share_that_grows_lets_the_next_in() -> None:
    queue = JobQueues(10)
    queue.set_process_share(1, 2)
    first, second = joined(queue, "ana", FEW), joined(queue, "ana", FEW)
    before = second.is_granted

    queue.set_process_share(0, 1)

    assert (first.is_granted, before, joined(queue, "ben").is_granted) == (True, False, True)
    assert second.get_position(0) is None


@pytest.mark.parametrize(
    ("number", "told", "is_told"),
    [(500, None, True), (500, 500, False), (455, 500, False), (450, 500, True), (560, 500, True), (9, 10, True)],
)
def test_a_long_line_is_no_flood_of_edits(number: int, told: int | None, is_told: bool) -> None:
    assert has_position_changed(number, told) is is_told
