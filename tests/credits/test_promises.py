"""A moderator promises no more than the workspace, or the bot, has left: all unspent grants count together."""

import asyncio
from dataclasses import replace

import pytest

from bot.core.errors import BadOption
from bot.core.people import User
from tests.bench import Bench
from tests.credits.bench import CreditsBench
from tests.fakes.samples import ANA, BEN, CLEO, MODERATOR, OWNER, get_text

EMILE = User("web", "page", "émile", "Émile")
NEIGHBOUR = User("web", "page:2", "zoe", "Zoe")
SIX = [User("web", "page", f"p{n}", f"P{n}") for n in range(6)]


async def say(bench: Bench, line: str, by: User = MODERATOR) -> str:
    return get_text(await bench.say(line, by=by))


async def test_grants_together_stay_within_the_workspaces_budget(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    for person in SIX:
        await bench.say("/usage", by=person)
    await bench.say("/quota budget set 100", by=OWNER)

    replies = [await say(bench, f"/quota grant p{n} 90") for n in range(6)]

    assert replies[0] == "P0 got 90 credits, and has 90 extra credits now."
    refusal = "This workspace has 97 credits left this month, and 90 are given away already: you can give away at most"
    assert replies[1:] == [f"{refusal} 7 more."] * 5
    assert await say(bench, "/quota grant p1 7") == "P1 got 7 credits, and has 7 extra credits now."
    assert (await say(bench, "/quota grant p2 1")).endswith("97 are given away already: you can give away no more.")
    assert "P2 got 1 credit" in await say(bench, "/quota grant p2 1", OWNER)


async def test_grants_count_by_workspace_whatever_the_ids(bench: Bench) -> None:
    for person in (ANA, EMILE, NEIGHBOUR):
        await bench.say("/usage", by=person)
    await bench.say("/quota budget set 100", by=OWNER)
    await bench.say("/quota grant zoe 50", by=replace(OWNER, workspace=NEIGHBOUR.workspace))

    replies = [await say(bench, f"/quota grant {name} 60") for name in ("émile", "ana")]

    refusal = "This workspace has 100 credits left this month, and 60 are given away already: you can give away at most"
    assert replies == ["Émile got 60 credits, and has 60 extra credits now.", f"{refusal} 40 more."]


async def test_credits_taken_back_can_be_given_again(bench: Bench) -> None:
    for person in (ANA, BEN):
        await bench.say("/usage", by=person)
    await bench.say("/quota budget set 100", by=OWNER)
    await say(bench, "/quota grant ana 90")

    await say(bench, "/quota take ana 50")

    assert await say(bench, "/quota grant ben 60") == "Ben got 60 credits, and has 60 extra credits now."


async def test_without_a_budget_of_its_own_the_bots_counts(bench: Bench) -> None:
    for person in (ANA, BEN):
        await bench.say("/usage", by=person)
    await bench.say("/quota budget set 100 --of bot", by=OWNER)

    replies = [await say(bench, f"/quota grant {name} 60") for name in ("ana", "ben")]

    assert replies == [
        "Ana got 60 credits, and has 60 extra credits now.",
        "The bot cannot pay for so many more credits here this month: give fewer, or ask its owner.",
    ]


async def test_limits_and_tiers_stay_within_the_bots_budget(bench: Bench) -> None:
    await bench.say("/usage")
    await bench.say("/quota budget set 100 --of bot", by=OWNER)

    assert await say(bench, "/quota role set gold --day 101") == (
        "day is more than the bot may spend in a month: give less."
    )
    assert await say(bench, "/quota set ana --month 101") == (
        "month is more than the bot may spend in a month: give less."
    )
    assert await say(bench, "/quota role set gold --day 101", OWNER) == "@gold: 101 credits each day."


async def test_a_grant_delivered_twice_is_confirmed_twice_within_the_budget(bench: Bench) -> None:
    await bench.say("/usage")
    await bench.say("/quota budget set 100", by=OWNER)

    replies = [await bench.say("/quota grant ana 90", by=MODERATOR, key="web:g1") for _ in range(2)]

    assert [get_text(reply) for reply in replies] == ["Ana got 90 credits, and has 90 extra credits now."] * 2


async def test_simultaneous_grants_see_one_another(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(100)
    wallets = credits_bench.credits.wallets

    granted = await asyncio.gather(
        *(wallets.grant(MODERATOR, person, 30, f"web:{person.id}") for person in SIX), return_exceptions=True
    )

    assert [type(result) for result in granted].count(int) == 3
    assert [type(result) for result in granted].count(BadOption) == 3


async def test_held_credits_are_no_room_for_promises(credits_bench: CreditsBench) -> None:
    await credits_bench.set_budget(100)
    await credits_bench.submit(CLEO, 60)

    with pytest.raises(BadOption, match="has 40 credits left"):
        await credits_bench.credits.wallets.grant(MODERATOR, ANA, 41, "web:a")

    assert await credits_bench.credits.wallets.grant(MODERATOR, ANA, 40, "web:b") == 40
