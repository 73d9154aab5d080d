"""Asks that cost nothing have a pace too: defaults for everybody, counted for refused asks, repeats and reuse."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from bot.core.errors import LimitReached
from bot.core.limits import MAX_OPEN_JOBS_PER_USER
from bot.core.people import BOT, User
from bot.core.replies import Tone
from bot.credits import limits
from bot.credits.limits import DefaultLimits
from bot.dispatch.button_actions import ButtonPress
from bot.storage.policies import Policy
from tests.bench import Bench
from tests.credits.bench import CreditsBench
from tests.credits.test_limits import make_policy
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR, get_text

FOX = "/imagine a fox --seed 7"
TOO_OFTEN = "You may ask 5 times a minute. Try again in 12 s."


@pytest.fixture
async def slow_bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """The bot with a default pace of five jobs a minute, and three at once."""
    bench = await Bench.open(tmp_path, jobs_per_minute=5, jobs_at_once=3)
    yield bench
    await bench.close()


async def ask(bench: Bench, line: str, times: int, *, by: User = ANA) -> list[str]:
    """Ask several times; return the direct replies, "" for an accepted job."""
    replies = [await bench.say(line, by=by) for _ in range(times)]
    return [reply.text if reply else "" for reply in replies]


async def test_everybody_has_a_pace(slow_bench: Bench) -> None:
    assert await ask(slow_bench, FOX, 6) == [*[""] * 5, TOO_OFTEN]
    assert await ask(slow_bench, FOX, 1, by=BEN) == [""]

    await slow_bench.advance_time(12)

    assert await ask(slow_bench, FOX, 2) == ["", TOO_OFTEN]


@pytest.mark.parametrize(
    "line", ["/imagine a fox --model flux-pro --count 4 --steps 999", "/imagine", "/imagine a fox --model nothing"]
)
async def test_refused_asks_count(slow_bench: Bench, line: str) -> None:
    refusals = await ask(slow_bench, line, 6)

    assert TOO_OFTEN not in refusals[:5]
    assert refusals[5] == TOO_OFTEN
    assert await ask(slow_bench, FOX, 1) == [TOO_OFTEN]


async def test_asks_without_credits_count(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, jobs_per_minute=5, daily_credits=1)

    replies = await ask(bench, FOX, 6)

    assert all("credits short" in reply for reply in replies[:5])
    assert replies[5] == TOO_OFTEN
    await bench.close()


async def test_reused_results_count(slow_bench: Bench) -> None:
    policy = Policy("web", "page", "workspace", "", "setting:reuse", True, BOT, slow_bench.clock.now())
    async with slow_bench.app.database.write() as tx:
        await tx.policies.put(policy)

    replies = await ask(slow_bench, FOX, 200)

    assert replies.count("") == 5
    assert len(slow_bench.backend.runs) == 1
    assert len(slow_bench.platform.messages) == 5


async def test_presses_of_buttons_count(slow_bench: Bench) -> None:
    await ask(slow_bench, FOX, 1)
    message = slow_bench.last_message

    replies = [await slow_bench.press("again", on=message) for _ in range(5)]

    assert [reply.text if reply else "" for reply in replies] == [*[""] * 4, TOO_OFTEN]


async def test_a_request_delivered_again_counts_once(slow_bench: Bench) -> None:
    await ask(slow_bench, FOX, 4)

    replies = [await slow_bench.say(FOX, key="web:same") for _ in range(3)]

    assert replies == [None, None, None]
    assert len(slow_bench.platform.messages) == 5


async def test_a_request_id_repeated_for_ever_counts(slow_bench: Bench) -> None:
    replies = [get_text(await slow_bench.say("/imagine", key="web:same")) for _ in range(100)]

    assert replies[0] == "prompt is missing: What should the picture show?"
    assert replies.count(TOO_OFTEN) >= 80


async def test_a_confirmed_question_counts_once(slow_bench: Bench) -> None:
    await slow_bench.say("/settings general --confirm_above 1", by=MODERATOR)
    await ask(slow_bench, "/imagine", 4)
    question = await slow_bench.say(FOX)
    assert question is not None
    go_ahead = question.buttons[0]

    reply = await slow_bench.app.dispatcher.handle_press(
        ButtonPress(ANA, CHANNEL, go_ahead.action, go_ahead.job, go_ahead.n, "web:yes", "m1")
    )
    await slow_bench.wait_until_idle()

    assert reply is None
    assert slow_bench.last_message.reply.tone is Tone.DONE


async def test_commands_without_jobs_have_no_such_pace(slow_bench: Bench) -> None:
    await ask(slow_bench, FOX, 6)

    assert TOO_OFTEN not in await ask(slow_bench, "/usage", 10)


async def test_everybody_has_a_bounded_queue(slow_bench: Bench) -> None:
    slow_bench.backend.will(hangs_after=0)

    replies = await ask(slow_bench, FOX, 4)

    assert replies == ["", "", "", "You may have 3 jobs at once. Wait for one to end, or /cancel it."]
    assert await ask(slow_bench, FOX, 1, by=BEN) == [""]


async def test_a_moderator_sets_another_pace_for_a_person(slow_bench: Bench) -> None:
    await slow_bench.say("/usage")
    await slow_bench.say("/quota set ana --per_minute 9 --at_once 9", by=MODERATOR)

    replies = await ask(slow_bench, FOX, 10)

    assert replies == [*[""] * 9, "You may ask 9 times a minute. Try again in 7 s."]


async def test_usage_shows_the_defaults(slow_bench: Bench) -> None:
    assert "You may run 3 at once and 5 a minute." in get_text(await slow_bench.say("/usage"))


def test_the_default_holds_only_without_another_value() -> None:
    defaults = DefaultLimits(jobs_at_once=30, jobs_per_minute=60)
    per_minute = make_policy("user", "ana", limits.PER_MINUTE, 100)

    resolved = limits.resolve_limits([per_minute], ANA, daily_allowance_micros=1, bot_month_micros=1, defaults=defaults)

    assert (resolved.jobs_at_once, resolved.jobs_per_minute) == (30, 100)


async def test_many_workspaces_are_no_way_around_the_bound_of_a_queue(credits_bench: CreditsBench) -> None:
    for n in range(MAX_OPEN_JOBS_PER_USER):
        await credits_bench.submit(replace(ANA, workspace=f"w{n % 7}"), 0)

    with pytest.raises(LimitReached, match="You have 100 unfinished jobs, which is the most"):
        await credits_bench.submit(replace(ANA, workspace="another"), 0)

    assert await credits_bench.try_to_submit(BEN, 0) is not None


async def test_the_defaults_of_the_settings_are_generous(bench: Bench) -> None:
    assert await ask(bench, FOX, 30) == [""] * 30
    assert bench.last_message.reply.tone is Tone.DONE
