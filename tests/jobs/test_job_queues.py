"""The queues of a process, per model, for all runs and for creates, and the shares of several processes."""

import asyncio
from dataclasses import replace

import pytest

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loading import BUILT_IN_PATH, load_catalogue
from bot.core.jobs import Job
from bot.core.models import Model
from bot.core.people import User
from bot.jobs.job_queues import JobQueues, QueuePosition, QueueSlot, compute_share
from bot.jobs.messages import has_position_changed
from tests.fakes.samples import make_job

ANY = Catalogue(load_catalogue(BUILT_IN_PATH)).get("flux-schnell")
FEW = replace(ANY, key="few", at_once=2)


def make_job_of(who: str) -> Job:
    return make_job(user=User("web", "page", who, who))


def join_slot(queues: JobQueues, who: str, model: Model = ANY) -> QueueSlot:
    slot = queues.slot_for_run(make_job_of(who), model)
    slot.join()
    return slot


def test_a_models_limit_delays_only_jobs_of_that_model() -> None:
    queues = JobQueues(10)
    few = [join_slot(queues, "ana", FEW) for _ in range(3)]

    other = join_slot(queues, "ana")

    assert [slot.is_granted for slot in few] == [True, True, False]
    assert other.is_granted
    assert few[2].get_position(0) == QueuePosition(1, 2)


async def test_a_job_waits_in_its_models_queue_and_then_in_the_common_queue() -> None:
    queues = JobQueues(1)
    running, waiting = join_slot(queues, "ana"), join_slot(queues, "ben", FEW)
    waiting_task = asyncio.create_task(waiting.wait())
    await asyncio.sleep(0)
    assert (waiting.is_granted, waiting.get_position(0)) == (False, QueuePosition(1, 1))

    running.leave()

    await asyncio.wait_for(waiting_task, 1)
    assert waiting.is_granted


async def test_leaving_from_any_queue_gives_all_places_back() -> None:
    queues = JobQueues(1)
    running = join_slot(queues, "ana")
    in_common, in_own = join_slot(queues, "ben", FEW), [join_slot(queues, "cleo", FEW) for _ in range(2)]

    for slot in (in_common, *in_own, running):
        slot.leave()
        slot.leave()

    assert join_slot(queues, "dora", FEW).is_granted


def test_a_recovered_run_takes_its_place_at_once() -> None:
    queues = JobQueues(1)
    taken_up = queues.slot_for_run(make_job_of("ana"), FEW)
    taken_up.occupy()
    behind = join_slot(queues, "ben")

    assert taken_up.is_granted
    assert not behind.is_granted
    taken_up.leave()
    assert behind.is_granted


def test_the_position_in_the_create_queue_names_no_concurrency() -> None:
    queues = JobQueues(10)
    first, second = queues.slot_for_create(make_job_of("ana")), queues.slot_for_create(make_job_of("ben"))
    first.join()
    second.join()

    assert (first.is_granted, second.is_granted, second.get_position(0)) == (True, False, QueuePosition(1, None))


def test_a_user_with_many_waiting_jobs_is_due_later() -> None:
    queues = JobQueues(1)
    running = join_slot(queues, "ana")
    for _ in range(3):
        join_slot(queues, "ana")

    assert (
        queues.slot_for_run(make_job_of("ana"), ANY).finish_time
        > queues.slot_for_run(make_job_of("ben"), ANY).finish_time
    )
    assert not running.get_position(0)


@pytest.mark.parametrize(
    ("at_once", "processes", "shares"),
    [(10, 1, [10]), (10, 3, [4, 3, 3]), (2, 2, [1, 1]), (1, 3, [1, 1, 1])],
)
def test_processes_share_a_models_limit(at_once: int, processes: int, shares: list[int]) -> None:
    assert [compute_share(at_once, number, processes) for number in range(processes)] == shares


def test_a_growing_share_grants_the_next_job() -> None:
    queues = JobQueues(10)
    queues.set_process_share(1, 2)
    first, second = join_slot(queues, "ana", FEW), join_slot(queues, "ana", FEW)
    before = second.is_granted

    queues.set_process_share(0, 1)

    assert (first.is_granted, before, join_slot(queues, "ben").is_granted) == (True, False, True)
    assert second.get_position(0) is None


@pytest.mark.parametrize(
    ("number", "shown", "is_shown"),
    [(500, None, True), (500, 500, False), (455, 500, False), (450, 500, True), (560, 500, True), (9, 10, True)],
)
def test_far_positions_are_shown_only_after_larger_changes(number: int, shown: int | None, is_shown: bool) -> None:
    assert has_position_changed(number, shown) is is_shown
