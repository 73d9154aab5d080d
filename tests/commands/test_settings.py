"""/settings and the effects of each setting, at the bench."""

from dataclasses import replace

import pytest

from bot.core.errors import UserError
from bot.dispatch.workspace_settings import suggest_time_zones
from tests.bench import Bench
from tests.fakes.samples import ANA, BEN, BY_ROLE, CHANNEL, MODERATOR, get_text

THREAD = replace(CHANNEL, thread="t1")


async def say_as_moderator(bench: Bench, line: str) -> str:
    return get_text(await bench.say(line, by=MODERATOR))


async def test_settings_show_lists_all_settings(bench: Bench) -> None:
    text = await say_as_moderator(bench, "/settings show")

    assert len(text.splitlines()) == 23
    assert "- **Time zone**: UTC *(default)*" in text
    assert "- **What was asked is kept**: 30 days *(default)*" in text


async def test_the_default_model_answers_a_command_without_a_model(bench: Bench) -> None:
    assert await say_as_moderator(bench, "/settings model imagine flux-dev") == (
        "- **Models where nobody names one**: /imagine FLUX dev"
    )

    await bench.say("/imagine a fox")

    assert (await bench.get_job()).model == "flux-dev"
    assert "25 credits a picture (default)" in get_text(await bench.say("/models imagine"))
    assert "flux-schnell" not in await say_as_moderator(bench, "/settings show")


async def test_a_default_model_has_the_task_and_can_be_removed(bench: Bench) -> None:
    assert "is for /imagine, not for /chat" in await say_as_moderator(bench, "/settings model chat flux-dev")
    assert "Did you mean flux-dev?" in await say_as_moderator(bench, "/settings model imagine flux-dv")
    await say_as_moderator(bench, "/settings model imagine flux-dev")
    await say_as_moderator(bench, "/settings model imagine")

    await bench.say("/imagine a fox")

    assert (await bench.get_job()).model == "flux-schnell"


async def test_a_command_outside_the_allowed_channels_is_refused(bench: Bench) -> None:
    await say_as_moderator(bench, "/settings channel studio")

    refused = get_text(await bench.say("/imagine a fox"))
    there = await bench.say("/imagine a fox", channel=replace(CHANNEL, id="studio"))

    assert refused == "I am not to be used in this channel. Ask me in #studio."
    assert there is None
    assert (
        await say_as_moderator(bench, "/settings channel studio no")
        == "- **Channels I may be used in**: all *(default)*"
    )
    assert await bench.say("/imagine a fox") is None


async def test_allowed_channels_are_added_not_replaced(bench: Bench) -> None:
    await say_as_moderator(bench, "/settings channel studio")
    await say_as_moderator(bench, "/settings channel gallery")

    assert "#gallery, #studio" in await say_as_moderator(bench, "/settings show")


async def test_new_conversations_begin_with_the_prompt_and_the_language(bench: Bench) -> None:
    await say_as_moderator(bench, "/settings prompt You are a pirate.")
    await say_as_moderator(bench, "/settings chat --language German")

    await bench.say("/chat hello")

    assert "You are a pirate. Answer in German." in str(bench.backend.last_run.inputs["messages"])


async def test_an_explicit_system_prompt_wins(bench: Bench) -> None:
    await say_as_moderator(bench, "/settings prompt You are a pirate.")

    await bench.say('/chat hello --system "You are a cat."')

    assert "pirate" not in str(bench.backend.last_run.inputs["messages"])


async def test_with_join_starter_only_the_starter_continues_a_conversation(bench: Bench) -> None:
    await say_as_moderator(bench, "/settings chat --join starter")
    await bench.say("/chat hello", channel=THREAD)
    text = bench.last_message

    by_ben = get_text(await bench.say("/chat and me?", by=BEN, channel=THREAD))

    assert by_ben == "Only the person who began this conversation goes on with it. Begin your own with /chat."
    assert await bench.say("/chat go on", channel=THREAD) is None
    assert "Only the person who began" in get_text(await bench.press("regenerate", on=text, by=BEN, channel=THREAD))
    assert await bench.say("/chat hello", by=BEN, channel=replace(CHANNEL, id="c2")) is None


async def test_adult_models_can_be_turned_off(bench: Bench) -> None:
    assert await say_as_moderator(bench, "/settings pictures --adult off") == (
        "- **Models for adults**: nowhere\n"
        "- **Pictures that the model flags**: hidden until they are opened *(default)*\n"
        "- **The very same asked again**: is made anew *(default)*\n"
        "- **The workflow in files of ComfyUI**: is taken out *(default)*\n"
        "- **Delivered files of drawings**: say how they were made *(default)*"
    )


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("/settings general --time_zone berlin", "There is no time zone called “berlin”. Did you mean Europe/Berlin?"),
        ("/settings general --time_zone nowhere/at/all", "Try Europe/Berlin, or UTC."),
        ("/settings general --keep_days 31", "keep_days may be 30 at most: I keep nothing longer."),
        ("/settings general --keep_days 0", "keep_days must be from 1 to 3,650, not 0."),
        ("/settings general --confirm_above -1", "confirm_above must be from 0 to 1,000,000, not -1."),
        ("/settings general", "Say what to change: time_zone, keep_days or confirm_above."),
        ("/settings chat", "Say what to change: language, join, mention, tools, voice, feedback or summaries."),
        ("/settings chat --join nobody", "join must be one of everyone, starter, not “nobody”."),
        ("/settings chat --language 7", "language is the name of a language, such as German or Português."),
        ("/settings pictures", "Say what to change: adult, flagged, reuse, recipes or prompts."),
        ("/settings reset shoe_size", "setting must be one of"),
        ("/settings", "/settings needs one more word"),
        ("/settings dance", "Did you mean settings"),
    ],
)
async def test_bad_input_is_refused_in_a_sentence(bench: Bench, line: str, sentence: str) -> None:
    try:
        text = await say_as_moderator(bench, line)
    except UserError as error:  # the parser's, which each platform tells
        text = str(error)

    assert sentence in text


async def test_a_time_zone_is_found_in_any_case_and_with_spaces(bench: Bench) -> None:
    assert "**Time zone**: Europe/Berlin" in await say_as_moderator(
        bench, "/settings general --time_zone europe/berlin"
    )
    assert "**Time zone**: America/New_York" in await say_as_moderator(
        bench, '/settings general --time_zone "america/new york"'
    )


async def test_a_channel_for_notices_is_tried_before_the_change(bench: Bench) -> None:
    assert await say_as_moderator(bench, "/settings notices staff") == "- **Reports and notices go**: in #staff"
    assert bench.last_text.startswith("Reports, and notices about the budget, will come here")
    bench.platform.will_lose()

    refused = await say_as_moderator(bench, "/settings notices attic")

    assert refused == "I cannot post in #attic. Let me in there, then say this again."
    assert "in #staff" in await say_as_moderator(bench, "/settings show")


async def test_a_role_makes_moderators(bench: Bench) -> None:
    assert "is for a moderator" in get_text(await bench.say("/settings show", by=BY_ROLE))

    await say_as_moderator(bench, "/settings moderators mods")

    assert "This workspace's settings" in get_text(await bench.say("/settings show", by=BY_ROLE))


async def test_moderators_by_role_cannot_lock_themselves_out(bench: Bench) -> None:
    await say_as_moderator(bench, "/settings moderators mods")

    by_verb = get_text(await bench.say("/settings moderators mods no", by=BY_ROLE))
    by_reset = get_text(await bench.say("/settings reset moderator_roles", by=BY_ROLE))
    everybody = await say_as_moderator(bench, "/settings moderators everyone")

    assert by_verb == "That role is what makes you a moderator: an administrator of this workspace can take it away."
    assert by_reset == "A role is what makes you a moderator: an administrator of this workspace can reset that."
    assert everybody == "Everybody has that role: everybody would be a moderator."
    assert "This workspace's settings" in get_text(await bench.say("/settings show", by=BY_ROLE))
    assert await say_as_moderator(bench, "/settings moderators mods no") == (
        "- **Moderators**: this workspace's administrators *(default)*"
    )
    assert "is for a moderator" in get_text(await bench.say("/settings show", by=BY_ROLE))


async def test_a_reset_removes_all_members(bench: Bench) -> None:
    await say_as_moderator(bench, "/settings channel studio")
    await say_as_moderator(bench, "/settings channel gallery")

    assert (
        await say_as_moderator(bench, "/settings reset channels") == "- **Channels I may be used in**: all *(default)*"
    )
    assert await bench.say("/imagine a fox", by=ANA) is None


async def test_changes_are_visible_at_once_here_and_within_a_second_elsewhere(bench: Bench) -> None:
    other = bench.app.dispatcher.services.moderation.__class__(bench.app.database, bench.clock, frozenset())
    before = await other.get_settings("web", "page")

    await say_as_moderator(bench, "/settings general --confirm_above 5")
    await bench.clock.advance(1.0)

    assert before.confirm_above_credits == 0
    assert (await other.get_settings("web", "page")).confirm_above_credits == 5


async def test_time_zones_are_suggested_by_city(bench: Bench) -> None:
    suggested = [choice.value for choice in suggest_time_zones(bench.app.dispatcher.services, "ber", {})]

    assert suggested[:2] == ["Atlantic/Bermuda", "Europe/Berlin"]
    assert "Europe/Berlin" in suggested
    assert len(suggest_time_zones(bench.app.dispatcher.services, "", {})) == 25


async def test_a_name_instead_of_an_id_is_refused_with_advice(bench: Bench) -> None:
    on_discord = replace(MODERATOR, platform="discord", workspace="1")
    await bench.app.dispatcher.services.moderation.admin.allow_workspace(on_discord)
    there = replace(CHANNEL, platform="discord", workspace="1")

    refused = get_text(await bench.say("/settings channel general", by=on_discord, channel=there))
    taken = get_text(await bench.say("/settings channel <#123456>", by=on_discord, channel=there))
    role = get_text(await bench.say("/settings moderators <@&7777777>", by=on_discord, channel=there))

    assert refused == "I do not know a channel called “general”. Pick it from the list that opens at @ or #."
    assert taken == "- **Channels I may be used in**: <#123456>"
    assert role == "- **Moderators**: this workspace's administrators and <@&7777777>"
