"""/quota for plain users, moderators and the owner, at the bench."""

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
from bot.storage.tables.columns import format_actor
from tests.bench import Bench
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR, OWNER

# The console, unlike another workspace of the page, is allowed by default.
ELSEWHERE = replace(MODERATOR, workspace="console", platform="console", id="eve", name="Eve")

COMMAND_LINES = [
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


async def read_reply(bench: Bench, line: str, by: User = MODERATOR) -> str:
    reply = await bench.say(line, by=by)
    assert reply is not None
    assert reply.is_private
    return reply.text


async def list_audit_rows(bench: Bench, kind: str, workspace: str = "page") -> list[tuple[str, object]]:
    async with bench.app.database.read() as tx:
        rows = await tx.audit.list_rows("web" if workspace == "page" else workspace, workspace, 50, kind=kind)
    return [(format_actor(row.actor), row.facts.get("what")) for row in rows]


# Ranks.


@pytest.mark.parametrize("line", COMMAND_LINES)
async def test_a_plain_user_is_refused_and_recorded(bench: Bench, line: str) -> None:
    await bench.say("/imagine a fox")
    before = await bench.balance()

    text = await read_reply(bench, line, BEN)

    name = next(
        form.declaration.name
        for form in bench.app.dispatcher.services.menu
        if line.startswith(f"/{form.declaration.name}")
    )
    assert text.startswith(f"/{name} is for ")
    assert await list_audit_rows(bench, "refused") == [("web:page:ben", f"/{name}")]
    assert await list_audit_rows(bench, "policy.") == []
    assert await bench.balance() == before


@pytest.mark.parametrize("line", COMMAND_LINES)
async def test_a_moderator_of_another_workspace_changes_no_data_here(bench: Bench, line: str) -> None:
    await bench.say("/imagine a fox")
    before = await bench.balance()

    text = await read_reply(bench, line, ELSEWHERE)

    assert "Ana" not in text
    assert await list_audit_rows(bench, "policy.") == []
    assert await list_audit_rows(bench, "credits.") == []
    assert await bench.balance() == before


async def test_a_moderator_cannot_set_another_workspaces_budget(bench: Bench) -> None:
    text = await read_reply(bench, "/quota budget set 1 --workspace web:page", ELSEWHERE)

    assert text.startswith("/quota budget set is for ")
    assert await list_audit_rows(bench, "refused", "console") == [("console:console:eve", "/quota budget set")]


@pytest.mark.parametrize("action", ["quota grant", "grant", "quota budget set", "confirm", "edit"])
async def test_a_forged_press_is_refused_and_logged(
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


# Extra credits.


async def test_extra_credits_are_granted_and_taken_down_to_zero(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=BEN)

    assert await read_reply(bench, "/quota grant @Ben 50") == "Ben got 50 credits, and has 50 extra credits now."
    assert (
        await read_reply(bench, "/quota take ben 20.5") == "Took 20.5 credits from Ben, who has 29.5 extra credits now."
    )
    assert await read_reply(bench, "/quota take ben 30") == "Ben has 29.5 extra credits: I cannot take more."
    assert (
        await read_reply(bench, "/quota take zoe 1") == "I have not seen “zoe” here yet. They must have used me once."
    )
    actions = [actor for actor, _ in await list_audit_rows(bench, "credits.")]
    assert actions == ["web:page:mo", "web:page:mo"]


async def test_a_take_delivered_twice_runs_once(bench: Bench) -> None:
    await bench.say("/imagine a fox", by=BEN)
    await bench.say("/quota grant ben 50", by=MODERATOR)

    replies = [await bench.say("/quota take ben 40", by=MODERATOR, key="web:t1") for _ in range(2)]

    assert [reply and reply.text for reply in replies] == [
        "Took 40 credits from Ben, who has 10 extra credits now."
    ] * 2


@pytest.mark.parametrize(
    ("line", "sentence"),
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
async def test_bad_input_is_refused_in_a_sentence(bench: Bench, line: str, sentence: str) -> None:
    async with bench.app.database.write() as tx:
        await tx.people.upsert_user(BEN, bench.clock.now())

    assert await read_reply(bench, line) == sentence
    assert await list_audit_rows(bench, "policy.") == []


async def test_an_amount_below_the_smallest_price_is_refused(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, credit_usd=Decimal("0.000001"))
    async with bench.app.database.write() as tx:
        await tx.people.upsert_user(BEN, bench.clock.now())

    assert await read_reply(bench, "/quota grant ben 0.1") == "credits is less than anything can cost."
    await bench.close()


# Limits.


async def test_a_person_is_limited_and_reset(bench: Bench) -> None:
    await bench.say("/imagine a fox")

    text = await read_reply(bench, "/quota set ana --day 5 --month 80 --at_once 1 --per_minute 9")
    refused = await read_reply(bench, "/imagine a fox", ANA)
    shown = await read_reply(bench, "/quota show ana")
    await bench.say("/quota reset ana", by=MODERATOR)
    await bench.say("/imagine a fox")

    limits = "at most 5 credits a day · at most 80 credits a month · 1 job at once · 9 jobs a minute"
    assert text == f"Limits of Ana: {limits}."
    assert refused.startswith(
        "Your budget has no room for this: 1 credit short. It refills on 02 January at 00:00 UTC."
    )
    assert f"Own limits: {limits}." in shown
    assert "Limit for 2026-01-01: **2** of 5 credits left." in shown
    assert bench.last_message.reply.tone is Tone.DONE
    assert await read_reply(bench, "/quota reset ana limits") == "Ana has no limits of their own any more."
    assert await read_reply(bench, "/quota reset ana limits") == "Ana had no limits of their own."


async def test_reset_shows_the_forgiven_amount(bench: Bench) -> None:
    await bench.say("/imagine a fox --count 2")
    await bench.say("/quota set ana --day 50", by=MODERATOR)

    text = await read_reply(bench, "/quota reset ana all")

    assert text == (
        "This month begins anew for Ana: 6 credits can be spent again today. Ana has no limits of their own any more."
    )
    assert await bench.balance() == bench.starting_credits


async def test_a_role_becomes_a_tier_in_usage(bench: Bench) -> None:
    gold = replace(ANA, roles=frozenset({"gold"}))

    text = await read_reply(
        bench, '/quota role set gold --day 500 --models "flux-schnell, sdxl" --pictures 2 --weight 3 --name "Gold tier"'
    )
    usage = await read_reply(bench, "/usage", gold)
    too_many = await read_reply(bench, "/imagine a fox --count 3", gold)
    wrong = await read_reply(bench, "/imagine a fox --model flux-dev", gold)

    given = "500 credits each day · 2 pictures at a time · 3 turns in the queue · models: flux-schnell, sdxl"
    assert text == f"Gold tier: {given}."
    assert "**500** of 500 credits left today. They refill at 00:00 UTC. Your tier is **Gold tier**." in usage
    assert too_many == "You may ask for 2 at a time at most, not 3."
    assert wrong == "FLUX dev is not among the models you may use. You may use flux-schnell, sdxl."
    assert await read_reply(bench, "/quota role show gold") == f"- Gold tier (@gold): {given}"
    assert await read_reply(bench, "/quota role clear gold") == "Gold tier gives nothing of its own any more."
    assert "of 100 credits" in await read_reply(bench, "/usage", gold)


async def test_usage_lists_all_limits(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/quota set ana --month 80 --at_once 2 --per_minute 5", by=MODERATOR)
    await bench.say("/quota grant ana 7", by=MODERATOR)
    await bench.say("/quota budget set 500", by=OWNER)

    text = await read_reply(bench, "/usage", ANA)

    assert text.splitlines()[:5] == [
        "**97** of 100 credits left today. They refill at 00:00 UTC.",
        "**7** extra credits, which do not expire.",
        "Your limit for 2026-01: **77** of 80 credits left. It refills on 01 February at 00:00 UTC.",
        "This workspace's budget for 2026-01: **497** of 500 credits left. It refills on 01 February at 00:00 UTC.",
        "You may run 2 at once and 5 a minute.",
    ]


async def test_a_channel_has_its_own_models_and_commands(bench: Bench) -> None:
    text = await read_reply(bench, "/quota channel set c1 --models flux-schnell --commands /imagine")
    refused = await read_reply(bench, "/imagine a fox --model sdxl", ANA)
    elsewhere = await bench.say("/imagine a fox --model sdxl", channel=replace(CHANNEL, id="c2"))

    assert text == "In #c1: commands: imagine · models: flux-schnell."
    assert refused == "SDXL is not for this channel. Here you may use flux-schnell."
    assert elsewhere is None
    assert (
        await read_reply(bench, "/quota channel set --models all --commands all")
        == "In #c1: commands: any · models: any."
    )
    assert await read_reply(bench, "/quota channel clear c1") == "Every command and model may be used in #c1 again."


@pytest.mark.parametrize("command", ["help", "quota", "quota-grant", "usage"])
async def test_a_channel_rule_takes_no_command_without_jobs(bench: Bench, command: str) -> None:
    text = await read_reply(bench, f"/quota channel set c1 --commands {command}")

    assert "makes no jobs, so it works in every channel" in text or "There is no command that makes jobs" in text


async def test_a_moderator_can_undo_all_limits_at_zero(bench: Bench) -> None:
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


async def test_the_owner_sets_a_workspaces_budget(bench: Bench) -> None:
    await bench.say("/imagine a fox")

    assert await read_reply(bench, "/quota budget show") == (
        "This workspace has no budget of its own, and spent 3 credits this month."
    )
    assert await read_reply(bench, "/quota budget set 500", OWNER) == (
        "This workspace may spend 500 credits a month, and spent 3 this month."
    )
    assert await read_reply(bench, "/quota budget show") == (
        "This workspace spent 3 of 500 credits this month. It refills on 01 February at 00:00 UTC."
    )
    both = await read_reply(bench, "/quota budget show", OWNER)
    assert both.splitlines()[1] == (
        "The whole bot spent 3 of 10,000 credits this month. It refills on 01 February at 00:00 UTC."
    )
    assert await read_reply(bench, "/quota budget set", OWNER) == "This workspace has no budget of its own any more."


async def test_a_budget_below_the_spending_explains_the_consequence(bench: Bench) -> None:
    await bench.say("/imagine a fox")

    text = await read_reply(bench, "/quota budget set 2 --of bot", OWNER)

    assert text == (
        "The whole bot may spend 2 credits a month, and spent 3 this month. "
        "So nothing that costs anything can be asked until it refills on 01 February at 00:00 UTC."
    )
    refused = await read_reply(bench, "/imagine a fox", ANA)
    assert refused.startswith("The bot's monthly budget has no room for this")


async def test_another_workspaces_budget_is_set_by_its_id(bench: Bench) -> None:
    text = await read_reply(bench, "/quota budget set 70 --workspace discord:42", OWNER)
    wrong = await read_reply(bench, "/quota budget set 70 --workspace here", OWNER)

    assert text == "discord:42 may spend 70 credits a month, and spent 0 this month."
    assert wrong == "workspace is a platform and an id, as in discord:GUILD_ID."
    async with bench.app.database.read() as tx:
        assert [format_actor(row.actor) for row in await tx.audit.list_rows("discord", "42", 5)] == ["web:page:owner"]


async def test_a_moderator_gives_at_most_the_workspaces_budget_and_the_owner_more(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/quota budget set 50", by=OWNER)

    assert await read_reply(bench, "/quota grant ana 48") == (
        "This workspace has 47 credits left this month: you cannot give away more."
    )
    most = "is more than this workspace may spend in a month: 50 credits."
    assert await read_reply(bench, "/quota set ana --month 51") == f"month {most}"
    assert await read_reply(bench, "/quota role set gold --day 51") == f"day {most}"
    assert await read_reply(bench, "/quota grant ana 47") == "Ana got 47 credits, and has 47 extra credits now."
    assert await read_reply(bench, "/quota grant ana 48", OWNER) == "Ana got 48 credits, and has 95 extra credits now."


async def test_moderators_get_an_alert_of_their_workspaces_budget(bench: Bench) -> None:
    await bench.say("/quota budget set 6", by=OWNER)

    await bench.say("/imagine a fox")
    await bench.app.credits.alerts.wait_until_idle()

    assert bench.last_text == (
        "This workspace's monthly budget is spent to 50 %: 3 of 6 credits. It refills on 01 February at 00:00 UTC."
    )


async def test_the_owner_gets_an_alert_of_the_bots_budget(bench: Bench) -> None:
    await bench.say("/quota budget set 3 --of bot", by=OWNER)

    await bench.say("/imagine a fox")
    await bench.app.credits.alerts.wait_until_idle()

    assert bench.last_text.startswith("The bot's monthly budget is spent: 3 of 3 credits.")


# Overviews.


async def test_show_lists_all_limits_of_the_workspace(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/quota budget set 500", by=OWNER)
    await bench.say("/quota role set gold --day 200 --name Gold", by=MODERATOR)
    await bench.say("/quota channel set c1 --models sdxl", by=MODERATOR)
    await bench.say("/quota set ana --day 5", by=MODERATOR)

    assert await read_reply(bench, "/quota show") == (
        "This workspace: at most 500 credits a month.\n\n"
        "**Roles**\n- Gold (@gold): 200 credits each day\n\n"
        "**Channels**\n- #c1: models: sdxl\n\n"
        "**People**\n- Ana: at most 5 credits a day"
    )


async def test_a_long_list_ends_with_the_number_of_omitted_entries(bench: Bench) -> None:
    for n in range(27):
        await bench.say(f"/quota role set r{n:02} --weight 2", by=MODERATOR)

    shown = await read_reply(bench, "/quota show")

    assert shown.splitlines()[-1] == "- and 2 more"


async def test_top_lists_the_largest_spenders_of_the_workspace(bench: Bench) -> None:
    await bench.say("/imagine a fox")
    await bench.say("/imagine a fox --count 2", by=BEN)
    await bench.say("/imagine a fox", by=BEN)
    await bench.say("/imagine a fox --count 4", by=replace(ANA, platform="console", workspace="console", id="zoe"))

    assert (
        await read_reply(bench, "/quota top")
        == "Spent this month:\n1. Ben: **9** credits, 2 jobs\n2. Ana: **3** credits, 1 job"
    )
    assert "Ana" not in await read_reply(bench, "/quota top 1")


async def test_export_escapes_formulas(bench: Bench) -> None:
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


# Refusals for lack of credits.


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (
            "/imagine a fox --model flux-pro",
            "You are 10 credits short. Ask a moderator for more. "
            "Seedream 4 (`seedream-4`) would do: 30 credits at most.",
        ),
        (
            "/imagine a fox --model flux-dev --count 2",
            "You are 20 credits short. Ask a moderator for more. "
            "FLUX schnell (`flux-schnell`) would do: 6 credits at most.",
        ),
    ],
)
async def test_a_refusal_for_lack_of_credits_suggests_a_cheaper_request(
    tmp_path: Path, line: str, sentence: str
) -> None:
    bench = await Bench.open(tmp_path, daily_credits=30)

    reply: Reply | None = await bench.say(line)

    assert reply is not None
    assert reply.text == sentence
    await bench.close()


async def test_a_model_outside_the_tier_is_not_suggested(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, daily_credits=30)
    await bench.say("/quota role set everyone --models flux-pro,flux-schnell", by=MODERATOR)

    text = await read_reply(bench, "/imagine a fox --model flux-pro", ANA)

    assert text.endswith("FLUX schnell (`flux-schnell`) would do: 3 credits at most.")
    await bench.close()


async def test_without_a_cheaper_model_a_refusal_suggests_none(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, daily_credits=2)

    assert await read_reply(bench, "/imagine a fox", ANA) == "You are 1 credit short. Ask a moderator for more."
    await bench.close()


async def test_a_moderator_reads_the_command_that_gives_more(tmp_path: Path) -> None:
    bench = await Bench.open(tmp_path, daily_credits=30)

    texts = [await read_reply(bench, "/imagine a fox --model flux-pro", by) for by in (MODERATOR, OWNER)]

    sentence = (
        "You are 10 credits short. /quota grant gives more. Seedream 4 (`seedream-4`) would do: 30 credits at most."
    )
    assert texts == [sentence, sentence]
    await bench.close()


# Edge cases.


@pytest.mark.parametrize("month", ["0000-01", "9999-12", "２０２６-11", "2026-13"])
async def test_an_invalid_month_is_refused(bench: Bench, month: str) -> None:
    text = await read_reply(bench, f"/quota export {month}")

    assert text in ("month is a year and a month, as in 2026-11.", f"Nothing of {month} is kept here.")


@pytest.mark.parametrize(
    "line", ["/quota grant @ 50", "/quota role set @ --day 5", "/quota channel set # --models all"]
)
async def test_a_sign_without_a_name_is_refused(bench: Bench, line: str) -> None:
    await bench.say("/imagine a fox")

    assert " is empty: " in await read_reply(bench, line)
    assert await list_audit_rows(bench, "policy.") == []


async def test_bounds_have_thousands_separators(bench: Bench) -> None:
    await bench.say("/imagine a fox")

    assert (
        await read_reply(bench, "/quota grant ana 5000000") == "credits must be from 0.1 to 1,000,000, not 5,000,000."
    )


async def test_a_typed_role_or_channel_is_refused_on_a_platform_with_ids(bench: Bench) -> None:
    on_discord = replace(MODERATOR, platform="discord", workspace="1")
    await bench.app.dispatcher.services.moderation.admin.allow_workspace(on_discord)
    there = replace(CHANNEL, platform="discord", workspace="1", id="55555")

    async def say_on_discord(line: str) -> str:
        reply = await bench.say(line, by=on_discord, channel=there)
        assert reply is not None
        return reply.text

    assert "I do not know a role called “supporters”" in await say_on_discord("/quota role set supporters --day 5")
    assert "I do not know a channel called “art”" in await say_on_discord("/quota channel set art --models all")
    assert await say_on_discord("/quota role set <@&7777777> --day 5") == "<@&7777777>: 5 credits each day."
    assert await say_on_discord("/quota role set everyone --day 5") == "everyone: 5 credits each day."
    assert await say_on_discord("/quota channel set --models all") == "In <#55555>: models: any."


async def test_a_mentioned_user_without_requests_can_get_credits(bench: Bench) -> None:
    ben = replace(ANA, id="31337", name="Ben")
    call = Invocation(
        MODERATOR, CHANNEL, "quota grant", "web:n1", {"user": ben.id, "credits": 5}, mentioned_users=(ben,)
    )

    reply = await bench.app.dispatcher.handle(call)

    assert reply is not None
    assert reply.text == "Ben got 5 credits, and has 5 extra credits now."


async def test_a_user_of_usage_alone_can_get_credits(bench: Bench) -> None:
    await bench.say("/usage", by=replace(ANA, id="ben", name="Ben"))

    reply = await bench.say("/quota grant ben 5", by=MODERATOR)

    assert reply is not None
    assert reply.text.startswith("Ben got 5 credits")
