"""The lines of one process: a model's, all runs', and the creates'; and the share of several processes."""

import asyncio
from dataclasses import replace

import pytest

from bot.catalogue.catalogue import Catalogue
from bot.catalogue.loading import BUILT_IN, load
from bot.core.jobs import Job
from bot.core.models import Model
from bot.core.people import User
from bot.jobs.queue import Place, Queue, Turn, share_of
from bot.jobs.waiting import is_news
from tests.fakes.rows import job

ANY = Catalogue(load(BUILT_IN)).get("flux-schnell")
FEW = replace(ANY, key="few", at_once=2)


def of(who: str) -> Job:
    return job(user=User("web", "page", who, who))


def joined(queue: Queue, who: str, model: Model = ANY) -> Turn:
    turn = queue.run(of(who), model)
    turn.join()
    return turn


def test_a_model_that_allows_few_holds_up_only_its_own() -> None:
    queue = Queue(10)
    few = [joined(queue, "ana", FEW) for _ in range(3)]

    other = joined(queue, "ana")

    assert [turn.has_come for turn in few] == [True, True, False]
    assert other.has_come
    assert few[2].where(0) == Place(1, 2)


async def test_a_job_stands_in_its_models_line_and_then_in_the_common_one() -> None:
    queue = Queue(1)
    running, waiting = joined(queue, "ana"), joined(queue, "ben", FEW)
    coming = asyncio.create_task(waiting.come())
    await asyncio.sleep(0)
    assert (waiting.has_come, waiting.where(0)) == (False, Place(1, 1))

    running.leave()

    await asyncio.wait_for(coming, 1)
    assert waiting.has_come


async def test_who_leaves_from_anywhere_gives_everything_back() -> None:
    queue = Queue(1)
    running = joined(queue, "ana")
    in_common, in_own = joined(queue, "ben", FEW), [joined(queue, "cleo", FEW) for _ in range(2)]

    for turn in (in_common, *in_own, running):
        turn.leave()
        turn.leave()

    assert joined(queue, "dora", FEW).has_come


def test_a_job_that_runs_already_waits_for_nobody() -> None:
    queue = Queue(1)
    taken_up = queue.run(of("ana"), FEW)
    taken_up.occupy()
    behind = joined(queue, "ben")

    assert taken_up.has_come
    assert not behind.has_come
    taken_up.leave()
    assert behind.has_come


def test_nobody_knows_how_fast_creates_come() -> None:
    queue = Queue(10)
    first, second = queue.create(of("ana")), queue.create(of("ben"))
    first.join()
    second.join()

    assert (first.has_come, second.has_come, second.where(0)) == (True, False, Place(1, None))


def test_somebody_with_much_waiting_is_due_later() -> None:
    queue = Queue(1)
    running = joined(queue, "ana")
    for _ in range(3):
        joined(queue, "ana")

    assert queue.run(of("ana"), ANY).due > queue.run(of("ben"), ANY).due
    assert not running.where(0)


@pytest.mark.parametrize(
    ("at_once", "processes", "shares"),
    [(10, 1, [10]), (10, 3, [4, 3, 3]), (2, 2, [1, 1]), (1, 3, [1, 1, 1])],
)
def test_processes_share_what_a_model_allows(at_once: int, processes: int, shares: list[int]) -> None:
    assert [share_of(at_once, number, processes) for number in range(processes)] == shares


def test_a_share_that_grows_lets_the_next_in() -> None:
    queue = Queue(10)
    queue.share(1, 2)
    first, second = joined(queue, "ana", FEW), joined(queue, "ana", FEW)
    before = second.has_come

    queue.share(0, 1)

    assert (first.has_come, before, joined(queue, "ben").has_come) == (True, False, True)
    assert second.where(0) is None


@pytest.mark.parametrize(
    ("number", "told", "is_told"),
    [(500, None, True), (500, 500, False), (455, 500, False), (450, 500, True), (560, 500, True), (9, 10, True)],
)
def test_a_long_line_is_no_flood_of_edits(number: int, told: int | None, is_told: bool) -> None:
    assert is_news(number, told) is is_told
