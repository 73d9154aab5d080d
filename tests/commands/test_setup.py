"""/setup and workspaces without permission, at the bench."""

from dataclasses import replace

from bot.core.people import User
from tests.bench import Bench
from tests.fakes.samples import ANA, CHANNEL, MODERATOR, OWNER, get_text

AT_HOME = User("web", "page", "owner", "The owner", is_owner=True)
THERE = replace(CHANNEL, workspace="guild")
OWNER_THERE = replace(AT_HOME, workspace="guild")
ANA_THERE = replace(ANA, workspace="guild")
MODERATOR_THERE = replace(MODERATOR, workspace="guild")


async def test_an_unknown_workspace_gets_the_contact_of_the_owner(bench: Bench) -> None:
    refused = get_text(await bench.say("/imagine a fox", by=ANA_THERE, channel=THERE))
    by_setup = get_text(await bench.say("/setup", by=MODERATOR_THERE, channel=THERE))

    assert refused == "This workspace is not on my list yet. Ask my owner to allow it, with /setup here: guild."
    assert by_setup == "/setup is for my owner."
    assert not bench.backend.runs


async def test_the_owner_is_linked_on_platforms_with_links(bench: Bench) -> None:
    moderation = bench.app.dispatcher.services.moderation.__class__(
        bench.app.database, bench.clock, frozenset(), [("discord", "", "7"), ("slack", "T", "U8"), ("discord", "", "9")]
    )

    assert moderation.format_owner_contact("discord") == "my owner, <@7> or <@9>"
    assert moderation.format_owner_contact("slack") == "my owner, <@U8>"
    assert moderation.format_owner_contact("web") == "my owner"


async def test_setup_allows_a_workspace_and_lists_the_next_steps(bench: Bench) -> None:
    text = get_text(await bench.say("/setup", by=OWNER_THERE, channel=THERE))

    assert text.splitlines() == [
        "1. **This workspace may use me.** `/setup --allowed no` takes that back.",
        "2. **Budget**: none of its own, so it shares the whole bot's. `/setup --budget 5000` gives it one.",
        "3. **Moderators**: this workspace's administrators. `/setup --moderators ROLE` adds a role.",
        "4. **Reports and notices go**: to the bot's owner. `/setup --notices CHANNEL` names one.",
        "5. **Channels I may be used in**: all. `/setup --channel CHANNEL` keeps me to some.",
        "6. Try `/imagine a lighthouse at dusk`. `/settings show` has the rest, `/quota show` who may spend what.",
    ]
    assert await bench.say("/imagine a fox", by=ANA_THERE, channel=THERE) is None


async def test_setup_sets_all_options_at_once(bench: Bench) -> None:
    line = "/setup --budget 5000 --moderators mods --notices staff --channel studio"

    text = get_text(await bench.say(line, by=OWNER_THERE, channel=THERE)).splitlines()

    assert text[1] == "2. **Budget**: 5,000 credits a month, 0 spent."
    assert text[2] == "3. **Moderators**: this workspace's administrators and @mods."
    assert text[3] == "4. **Reports and notices go**: in #staff."
    assert text[4] == "5. **Channels I may be used in**: #studio."
    assert get_text(await bench.say("/setup", by=OWNER_THERE, channel=THERE)).splitlines() == text


async def test_a_permission_can_be_withdrawn_and_granted_again(bench: Bench) -> None:
    await bench.say("/setup", by=OWNER_THERE, channel=THERE)

    text = get_text(await bench.say("/setup --allowed no", by=OWNER_THERE, channel=THERE))

    assert text == "This workspace may not use me any more. What runs goes on; `/setup` lets it in again."
    assert "not on my list" in get_text(await bench.say("/imagine a fox", by=ANA_THERE, channel=THERE))
    await bench.say("/setup", by=OWNER_THERE, channel=THERE)
    assert await bench.say("/imagine a fox", by=ANA_THERE, channel=THERE) is None


async def test_a_permission_of_the_environment_is_withdrawn_there(bench: Bench) -> None:
    assert "(ALLOWED_WORKSPACES): take it out there." in get_text(await bench.say("/setup --allowed no", by=OWNER))


async def test_an_invalid_option_leaves_the_workspace_without_permission(bench: Bench) -> None:
    bench.platform.will_lose()

    text = get_text(await bench.say("/setup --notices attic", by=OWNER_THERE, channel=THERE))

    assert text == "I cannot post in #attic. Let me in there, then say this again."
    assert "not on my list" in get_text(await bench.say("/imagine a fox", by=ANA_THERE, channel=THERE))


async def test_a_removal_of_the_bot_ends_the_permission(bench: Bench) -> None:
    await bench.say("/setup", by=OWNER_THERE, channel=THERE)

    await bench.app.dispatcher.services.moderation.admin.record_removal("web", "guild")

    assert "not on my list" in get_text(await bench.say("/imagine a fox", by=ANA_THERE, channel=THERE))
    assert "6. Try" in get_text(await bench.say("/setup", by=OWNER_THERE, channel=THERE))


async def test_a_tiny_budget_is_refused_before_any_change(bench: Bench) -> None:
    text = get_text(await bench.say("/setup --budget 0.0001", by=OWNER_THERE, channel=THERE))

    assert text == "budget is less than anything can cost."
    assert "not on my list" in get_text(await bench.say("/imagine a fox", by=ANA_THERE, channel=THERE))
