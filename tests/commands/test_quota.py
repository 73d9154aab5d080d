"""Dialogues: /quota and its verbs, by whoever may and whoever may not."""

import csv
import io
import logging
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from bot.core.invocations import Invocation
from bot.core.people import User
from bot.core.replies import Reply, Tone
from bot.dispatch.button_actions import ButtonPress
from tests.bench import Bench
from tests.fakes.samples import ANA, CHANNEL

BEN = replace(ANA, id="ben", name="Ben")
OWNER = replace(ANA, id="owner", name="The owner")
MODERATOR = replace(ANA, id="mo", name="Mo", is_administrator=True)
ELSEWHERE = replace(MODERATOR, workspace="console", platform="console", id="eve", name="Eve")

VERBS = [
    "/quota show",
    "/quota show ana",
    "/quota grant ana 5",
    "/quota take ana 5",
    "/quota set ana --day 5",
    "/quota reset ana",
    "/quota role set gold --day 500",
    "/quota role show",
    "/quota role clear gold",
    "/quota channel set c1 --models sdxl",
    "/quota channel clear c1",
    "/quota budget show",
    "/quota budget set 5",
    "/quota top",
    "/quota export",
]


async def text(bench: Bench, line: str, by: User = MODERATOR) -> str:
    reply = await bench.say(line, by=by)
    assert reply is not None
    assert reply.is_private
    return reply.text


async def audited(bench: Bench, kind: str, workspace: str = "page") -> list[tuple[str, object]]:
    async with bench.app.database.read() as tx:
        rows = await tx.audit.list_rows("web" if workspace == "page" else workspace, workspace, 50, kind=kind)
    return [(row.actor, row.facts.get("what")) for row in rows]


# Who may.


@pytest.mark.parametrize("line", VERBS)
async def test_a_plain_user_is_refused_and_it_is_noted(bench: Bench, line: str) -> None:
    await bench.say("/imagine a fox")
    before = await bench.balance()

    told = await text(bench, line, BEN)

    name = next(
        form.declaration.name
        for form in bench.app.dispatcher.services.menu
        if line.startswith(f"/{form.declaration.name}")
    )
    assert told.startswith(f"/{name} is for ")
    assert await audited(bench, "refused") == [("web:page:ben", f"/{name}")]
    assert await audited(bench, "policy.") == []
    assert await bench.balance() == before


@pytest.mark.parametrize("line", VERBS)
async def test_a_moderator_of_another_workspace_reaches_nothing_here(bench: Bench, line: str) -> None:
    await bench.say("/imagine a fox")
    before = await bench.balance()

    told = await text(bench, line, ELSEWHERE)

    assert "Ana" not in told
    assert await audited(bench, "policy.") == []
    assert await audited(bench, "credits.") == []
    assert await bench.balance() == before


async def test_a_moderator_does_not_set_another_workspaces_budget(bench: Bench) -> None:
    told = await text(bench, "/quota budget set 1 --workspace web:page", ELSEWHERE)

    assert told.startswith("/quota budget set is for ")
    assert await audited(bench, "refused", "console") == [("console:console:eve", "/quota budget set")]


@pytest.mark.parametrize("action", ["quota grant", "grant", "quota budget set", "confirm", "edit"])
async def test_a_forged_press_does_nothing_and_is_logged(
    bench: Bench, action: str, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.say("/imagine a fox")
    job = await bench.get_job()
    caplog.set_level(logging.INFO)
    before = await bench.balance(), await bench.balance(BEN)

    press = ButtonPress(BEN, CHANNEL, action, job.id, 1, "web:forged", bench.last_message.ref.id)
    reply = await bench.app.dispatcher.handle_press(press)

    assert reply is not None
    assert reply.tone is Tone.ERROR
    assert (await bench.balance(), await bench.balance(BEN)) == before
    assert "dispatch.refused" in caplog.messages


# Giving and taking.


async def test_extra_credits_are_given_and_taken_but_not_below_zero(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=BEN)

    assert await text(bench, "/quota grant @Ben 50") == "Ben got 50 credits, and has 50 extra credits now."
    assert await text(bench, "/quota take ben 20.5") == "Took 20.5 credits from Ben, who has 29.5 extra credits now."
    assert await text(bench, "/quota take ben 30") == "Ben has 29.5 extra credits: I cannot take more."
    assert await text(bench, "/quota take zoe 1") == "I have not seen “zoe” here yet. They must have used me once."
    actions = [actor for actor, _ in await audited(bench, "credits.")]
    assert actions == ["web:page:mo", "web:page:mo"]


async def test_a_taking_that_is_delivered_twice_is_done_once(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=BEN)
    await bench.say("/quota grant ben 50", by=MODERATOR)

    told = [await bench.say("/quota take ben 40", by=MODERATOR, key="web:t1") for _ in range(2)]

    assert [reply and reply.text for reply in told] == ["Took 40 credits from Ben, who has 10 extra credits now."] * 2


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("/quota grant ben -5", "credits must be from 0.1 to 1,000,000, not -5."),
        ("/quota grant ben 0", "credits must be from 0.1 to 1,000,000, not 0."),
        ("/quota take ben 1e30", "credits must be from 0.1 to 1,000,000, not 1e+30."),
        ("/quota grant ben nan", "credits must be a number, not “nan”."),
        ("/quota set ben", "Say what to limit: day, month, at_once or per_minute."),
        ("/quota set ben --day -1", "day must be from 0 to 1,000,000, not -1."),
        ("/quota set ben --at_once 1.5", "at_once must be a whole number, not 1.5."),
        (
            "/quota role set gold",
            "Say what the role gives: day, models, pictures, pixels, at_once, per_minute or weight.",
        ),
        ("/quota role set gold --models sdlx", "There is no model called “sdlx”. Did you mean sdxl?"),
        ("/quota role set gold --models ,", "Name at least one model, or `all`."),
        ("/quota role clear gold", "Nothing is set for @gold."),
        ("/quota role show gold", "Nothing is set for @gold."),
        ("/quota role show", "No role gives anything yet: `/quota role set`."),
        ("/quota channel set c1", "Say which models or commands."),
        ("/quota channel clear", "Nothing is set for #c1."),
        ("/quota export 2026-13", "month is a year and a month, as in 2026-11."),
        ("/quota export 2025-01", "Nothing of 2025-01 is kept here."),
        ("/quota top", "Nobody spent anything here this month."),
    ],
)
async def test_bad_input_gets_one_sentence(bench: Bench, line: str, told: str) -> None:
    async with bench.app.database.write() as tx:
        await tx.people.upsert_user(BEN, bench.clock.now())

    assert await text(bench, line) == told
    assert await audited(bench, "policy.") == []


async def test_an_amount_that_is_less_than_anything_costs_is_refused(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, credit_usd=Decimal("0.000001"))
    async with bench.app.database.write() as tx:
        await tx.people.upsert_user(BEN, bench.clock.now())

    assert await text(bench, "/quota grant ben 0.1") == "credits is less than anything can cost."
    await bench.close()


# Limits.


async def test_a_person_is_limited_and_reset(bench: Bench) -> None:
    await bench.say("/imagine a fox")

    told = await text(bench, "/quota set ana --day 5 --month 80 --at_once 1 --per_minute 9")
    refused = await text(bench, "/imagine a fox", ANA)
    shown = await text(bench, "/quota show ana")
    await bench.say("/quota reset ana", by=MODERATOR)
    await bench.say("/imagine a fox")

    limits = "at most 5 credits a day · at most 80 credits a month · 1 job at once · 9 jobs a minute"
    assert told == f"Limits of Ana: {limits}."
    assert refused.startswith(
        "Your budget has no room for this: 1 credits short. It refills on 02 January at 00:00 UTC."
    )
    assert f"Own limits: {limits}." in shown
    assert "Limit for 2026-01-01: **2** of 5 credits left." in shown
    assert bench.last_message.reply.tone is Tone.DONE
    assert await text(bench, "/quota reset ana limits") == "Ana has no limits of their own any more."
    assert await text(bench, "/quota reset ana limits") == "Ana had no limits of their own."


async def test_reset_says_what_can_be_spent_again(bench: Bench) -> None:
    await bench.say("/imagine a fox --count 2")
    await bench.say("/quota set ana --day 50", by=MODERATOR)

    told = await text(bench, "/quota reset ana all")

    assert told == (
        "This month begins anew for Ana: 6 credits can be spent again today. Ana has no limits of their own any more."
    )
    assert await bench.balance() == bench.starting_credits


async def test_a_role_becomes_a_tier_that_usage_names(bench: Bench) -> None:
    gold = replace(ANA, roles=frozenset({"gold"}))

    told = await text(
        bench, '/quota role set gold --day 500 --models "flux-schnell, sdxl" --pictures 2 --weight 3 --name "Gold tier"'
    )
    usage = await text(bench, "/usage", gold)
    too_many = await text(bench, "/imagine a fox --count 3", gold)
    wrong = await text(bench, "/imagine a fox --model flux-dev", gold)

    given = "500 credits each day · 2 pictures at a time · 3 turns in the queue · models: flux-schnell, sdxl"
    assert told == f"Gold tier: {given}."
    assert "**500** of 500 credits left today. They refill at 00:00 UTC. Your tier is **Gold tier**." in usage
    assert too_many == "You may ask for 2 at a time at most, not 3."
    assert wrong == "FLUX dev is not among the models you may use. You may use flux-schnell, sdxl."
    assert await text(bench, "/quota role show gold") == f"- Gold tier (@gold): {given}"
    assert await text(bench, "/quota role clear gold") == "Gold tier gives nothing of its own any more."
    assert "of 100 credits" in await text(bench, "/usage", gold)


async def test_usage_names_every_limit(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/quota set ana --month 80 --at_once 2 --per_minute 5", by=MODERATOR)
    await bench.say("/quota grant ana 7", by=MODERATOR)
    await bench.say("/quota budget set 500", by=OWNER)

    told = await text(bench, "/usage", ANA)

    assert told.splitlines()[:5] == [
        "**97** of 100 credits left today. They refill at 00:00 UTC.",
        "**7** extra credits, which do not expire.",
        "Your limit for 2026-01: **77** of 80 credits left. It refills on 01 February at 00:00 UTC.",
        "This workspace's budget for 2026-01: **497** of 500 credits left. It refills on 01 February at 00:00 UTC.",
        "You may run 2 at once and 5 a minute.",
    ]


async def test_a_channel_has_its_own_models_and_commands(bench: Bench) -> None:
    told = await text(bench, "/quota channel set c1 --models flux-schnell --commands /imagine")
    refused = await text(bench, "/imagine a fox --model sdxl", ANA)
    elsewhere = await bench.say("/imagine a fox --model sdxl", channel=replace(CHANNEL, id="c2"))

    assert told == "In #c1: commands: imagine · models: flux-schnell."
    assert refused == "SDXL is not for this channel. Here you may use flux-schnell."
    assert elsewhere is None
    assert await text(bench, "/quota channel set --models all --commands all") == "In #c1: commands: any · models: any."
    assert await text(bench, "/quota channel clear c1") == "Every command and model may be used in #c1 again."


@pytest.mark.parametrize("command", ["help", "quota", "quota-grant", "usage"])
async def test_no_rule_shuts_out_whoever_must_undo_it(bench: Bench, command: str) -> None:
    told = await text(bench, f"/quota channel set c1 --commands {command}")

    assert "makes no jobs, so it works in every channel" in told or "There is no command that makes jobs" in told


async def test_with_everything_at_nothing_a_moderator_can_undo_it(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=MODERATOR)
    await bench.say("/quota budget set 0", by=OWNER)
    await bench.say("/quota budget set 0 --of bot", by=OWNER)
    await bench.say("/quota set mo --day 0 --month 0 --at_once 0 --per_minute 0", by=MODERATOR)
    await bench.say("/quota role set everyone --day 0 --at_once 0", by=MODERATOR)
    await bench.say("/quota channel set c1 --commands chat", by=MODERATOR)

    await bench.say("/quota channel clear c1", by=MODERATOR)
    await bench.say("/quota role clear everyone", by=MODERATOR)
    await bench.say("/quota reset mo limits", by=MODERATOR)
    await bench.say("/quota budget set", by=OWNER)
    await bench.say("/quota budget set --of bot", by=OWNER)
    await bench.say("/imagine a fox", by=MODERATOR)

    assert bench.last_message.reply.tone is Tone.DONE


# Budgets.


async def test_the_owner_says_what_a_workspace_may_spend(bench: Bench) -> None:
    await bench.say("/imagine a fox")

    assert await text(bench, "/quota budget show") == (
        "This workspace has no budget of its own, and spent 3 credits this month."
    )
    assert await text(bench, "/quota budget set 500", OWNER) == (
        "This workspace may spend 500 credits a month, and spent 3 this month."
    )
    assert await text(bench, "/quota budget show") == (
        "This workspace spent 3 of 500 credits this month. It refills on 01 February at 00:00 UTC."
    )
    both = await text(bench, "/quota budget show", OWNER)
    assert both.splitlines()[1] == (
        "The whole bot spent 3 of 10,000 credits this month. It refills on 01 February at 00:00 UTC."
    )
    assert await text(bench, "/quota budget set", OWNER) == "This workspace has no budget of its own any more."


async def test_a_budget_below_what_is_spent_says_what_that_means(bench: Bench) -> None:
    await bench.say("/imagine a fox")

    told = await text(bench, "/quota budget set 2 --of bot", OWNER)

    assert told == (
        "The whole bot may spend 2 credits a month, and spent 3 this month. "
        "So nothing that costs anything can be asked until it refills on 01 February at 00:00 UTC."
    )
    refused = await text(bench, "/imagine a fox", ANA)
    assert refused.startswith("The bot's monthly budget has no room for this")


async def test_another_workspaces_budget_is_set_by_its_name(bench: Bench) -> None:
    told = await text(bench, "/quota budget set 70 --workspace discord:42", OWNER)
    wrong = await text(bench, "/quota budget set 70 --workspace here", OWNER)

    assert told == "discord:42 may spend 70 credits a month, and spent 0 this month."
    assert wrong == "workspace is a platform and an id, as in discord:GUILD_ID."
    async with bench.app.database.read() as tx:
        assert [row.actor for row in await tx.audit.list_rows("discord", "42", 5)] == ["web:page:owner"]


async def test_a_moderator_stays_within_the_workspaces_budget_and_the_owner_need_not(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/quota budget set 50", by=OWNER)

    assert await text(bench, "/quota grant ana 48") == (
        "This workspace has 47 credits left this month: you cannot give away more."
    )
    most = "is more than this workspace may spend in a month: 50 credits."
    assert await text(bench, "/quota set ana --month 51") == f"month {most}"
    assert await text(bench, "/quota role set gold --day 51") == f"day {most}"
    assert await text(bench, "/quota grant ana 47") == "Ana got 47 credits, and has 47 extra credits now."
    assert await text(bench, "/quota grant ana 48", OWNER) == "Ana got 48 credits, and has 95 extra credits now."


async def test_moderators_are_told_when_the_budget_runs_out(bench: Bench) -> None:
    await bench.say("/quota budget set 6", by=OWNER)

    await bench.say("/imagine a fox")
    await bench.app.credits.alerts.wait_until_idle()

    assert bench.last_text == (
        "This workspace's monthly budget is spent to 50 %: 3 of 6 credits. It refills on 01 February at 00:00 UTC."
    )


async def test_the_owner_is_told_of_the_bots(bench: Bench) -> None:
    await bench.say("/quota budget set 3 --of bot", by=OWNER)

    await bench.say("/imagine a fox")
    await bench.app.credits.alerts.wait_until_idle()

    assert bench.last_text.startswith("The bot's monthly budget is spent: 3 of 3 credits.")


# Looking.


async def test_show_lists_everything_that_is_set_here(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/quota budget set 500", by=OWNER)
    await bench.say("/quota role set gold --day 200 --name Gold", by=MODERATOR)
    await bench.say("/quota channel set c1 --models sdxl", by=MODERATOR)
    await bench.say("/quota set ana --day 5", by=MODERATOR)

    assert await text(bench, "/quota show") == (
        "This workspace: at most 500 credits a month.\n\n"
        "**Roles**\n- Gold (@gold): 200 credits each day\n\n"
        "**Channels**\n- #c1: models: sdxl\n\n"
        "**People**\n- Ana: at most 5 credits a day"
    )


async def test_a_long_list_is_cut(bench: Bench) -> None:
    for n in range(27):
        await bench.say(f"/quota role set r{n:02} --weight 2", by=MODERATOR)

    shown = await text(bench, "/quota show")

    assert shown.splitlines()[-1] == "- and 2 more"


async def test_top_tells_who_spent_the_most_here(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/imagine a fox --count 2", by=BEN)
    await bench.say("/imagine a fox", by=BEN)
    await bench.say("/imagine a fox --count 4", by=replace(ANA, platform="console", workspace="console", id="zoe"))

    assert (
        await text(bench, "/quota top")
        == "Spent this month:\n1. Ben: **9** credits, 2 jobs\n2. Ana: **3** credits, 1 job"
    )
    assert "Ana" not in await text(bench, "/quota top 1")


async def test_export_gives_a_table_that_no_spreadsheet_runs(bench: Bench) -> None:
    await bench.say("/imagine a fox --count 2")
    await bench.advance_time(1)
    await bench.say("/imagine a fox", by=replace(BEN, name='=HYPERLINK("x")'))

    reply = await bench.say("/quota export", by=MODERATOR)

    assert reply is not None
    assert reply.text == "2 jobs of 2026-01."
    [file] = reply.files
    rows = list(csv.DictReader(io.StringIO(file.text)))
    assert (file.name, file.mime) == ("quota-2026-01.csv", "text/csv")
    assert [(row["name"], row["credits"], row["state"]) for row in rows] == [
        ("Ana", "6", "delivered"),
        ('\'=HYPERLINK("x")', "3", "delivered"),
    ]


# Refused for want of money.


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (
            "/imagine a fox --model flux-pro",
            "You are 10 credits short. Ask a moderator for more. FLUX dev (`flux-dev`) would do: 25 credits at most.",
        ),
        (
            "/imagine a fox --model flux-dev --count 2",
            "You are 20 credits short. Ask a moderator for more. "
            "FLUX schnell (`flux-schnell`) would do: 6 credits at most.",
        ),
    ],
)
async def test_who_is_short_reads_what_would_do(tmp_path: Path, line: str, told: str) -> None:
    bench = await Bench.open(tmp_path, daily_credits=30)

    reply: Reply | None = await bench.say(line)

    assert reply is not None
    assert reply.text == told
    await bench.close()


async def test_what_one_may_not_use_is_not_suggested(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, daily_credits=30)
    await bench.say("/quota role set everyone --models flux-pro,flux-schnell", by=MODERATOR)

    told = await text(bench, "/imagine a fox --model flux-pro", ANA)

    assert told.endswith("FLUX schnell (`flux-schnell`) would do: 3 credits at most.")
    await bench.close()


async def test_where_nothing_would_do_nothing_is_suggested(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, daily_credits=2)

    assert await text(bench, "/imagine a fox", ANA) == "You are 1 credits short. Ask a moderator for more."
    await bench.close()


# What was promised, and what was not thought of.


@pytest.mark.parametrize("month", ["0000-01", "9999-12", "２０２６-11", "2026-13"])
async def test_a_month_that_is_none_is_refused(bench: Bench, month: str) -> None:
    told = await text(bench, f"/quota export {month}")

    assert told in ("month is a year and a month, as in 2026-11.", f"Nothing of {month} is kept here.")


@pytest.mark.parametrize(
    "line", ["/quota grant @ 50", "/quota role set @ --day 5", "/quota channel set # --models all"]
)
async def test_a_sign_without_a_name_is_nobody(bench: Bench, line: str) -> None:
    await bench.say("/imagine a fox")

    assert " is empty: " in await text(bench, line)
    assert await audited(bench, "policy.") == []


async def test_bounds_are_told_in_figures_that_people_read(bench: Bench) -> None:
    await bench.say("/imagine a fox")

    assert await text(bench, "/quota grant ana 5000000") == "credits must be from 0.1 to 1,000,000, not 5,000,000."


async def test_a_role_or_channel_that_was_typed_and_not_picked_is_no_tier(bench: Bench) -> None:
    on_discord = replace(MODERATOR, platform="discord", workspace="1")
    await bench.app.dispatcher.services.moderation.admin.allow_workspace(on_discord)
    there = replace(CHANNEL, platform="discord", workspace="1", id="55555")

    async def told(line: str) -> str:
        reply = await bench.say(line, by=on_discord, channel=there)
        assert reply is not None
        return reply.text

    assert "I do not know a role called “supporters”" in await told("/quota role set supporters --day 5")
    assert "I do not know a channel called “art”" in await told("/quota channel set art --models all")
    assert await told("/quota role set <@&7777777> --day 5") == "<@&7777777>: 5 credits each day."
    assert await told("/quota role set everyone --day 5") == "everyone: 5 credits each day."
    assert await told("/quota channel set --models all") == "In <#55555>: models: any."


async def test_somebody_whom_the_platform_shows_can_be_given_credits_before_they_ask(bench: Bench) -> None:
    ben = replace(ANA, id="31337", name="Ben")
    call = Invocation(
        MODERATOR, CHANNEL, "quota grant", "web:n1", {"user": ben.id, "credits": 5}, mentioned_users=(ben,)
    )

    reply = await bench.app.dispatcher.handle(call)

    assert reply is not None
    assert reply.text == "Ben got 5 credits, and has 5 extra credits now."


async def test_who_only_looked_at_their_usage_can_be_given_credits(bench: Bench) -> None:
    await bench.say("/usage", by=replace(ANA, id="ben", name="Ben"))

    reply = await bench.say("/quota grant ben 5", by=MODERATOR)

    assert reply is not None
    assert reply.text.startswith("Ben got 5 credits")
