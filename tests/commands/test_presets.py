"""/preset, and presets in /imagine, at the bench."""

import json
from dataclasses import replace

import pytest

from bot.core import limits
from bot.core.json import JSON
from bot.core.people import Channel, User
from bot.core.replies import Tone
from bot.jobs.deletion import person_from_user
from bot.platforms.web.commands import list_suggestions
from bot.storage.models import Preset
from tests.bench import Bench
from tests.commands.test_privacy import delete_data
from tests.fakes.samples import ANA, BEN, CHANNEL, MODERATOR, NOW, get_text


async def test_a_preset_gives_the_options_that_a_request_leaves_out(bench: Bench) -> None:
    saved = await bench.say("/preset save Ours --model sdxl --steps 30 --aspect 16:9 --count 2")

    await bench.say("/imagine a fox --preset ours --steps 12")

    assert get_text(saved) == (
        "**ours** is saved: model `sdxl`, aspect `16:9`, count 2, steps 30.\n"
        "Give `ours` as the option `preset` of /imagine."
    )
    job = await bench.get_job()
    assert job.model == "sdxl"
    assert {name: job.options[name] for name in ("aspect", "count", "steps")} == {
        "aspect": "16:9",
        "count": 2,
        "steps": 12,
    }
    assert "preset" not in job.options


async def test_again_draws_with_the_options_of_the_first_time(bench: Bench) -> None:
    await bench.say("/preset save ours --steps 3")
    await bench.say("/imagine a fox --preset ours")
    await bench.say("/preset remove ours")

    await bench.press("again")

    assert (await bench.get_job()).options["steps"] == 3


async def test_a_preset_is_listed_shown_changed_and_removed(bench: Bench) -> None:
    assert get_text(await bench.say("/preset list")) == "There is no preset yet. `/preset save` adds one."
    await bench.say("/preset save ours --guidance 3.5 --prompt_upsampling yes")
    await bench.say("/preset save night --negative dazzling")

    assert get_text(await bench.say("/preset list")) == "Yours: `night`, `ours`"
    assert get_text(await bench.say("/preset show OURS")) == "**ours**, yours: guidance 3.5, prompt_upsampling yes"
    assert "**ours** is changed: count 4." in get_text(await bench.say("/preset save ours --count 4"))
    assert get_text(await bench.say("/preset remove ours")) == "`ours` is removed from your presets."
    gone = get_text(await bench.say("/imagine a fox --preset ours"))
    assert gone == "There is no preset called “ours”. /preset list shows them, and /preset save adds one."


async def test_moderators_share_presets_with_the_workspace(bench: Bench) -> None:
    await bench.say("/preset save ours --count 2", by=MODERATOR)
    assert "no preset" in get_text(await bench.say("/preset list"))

    shared = await bench.say("/preset share ours", by=MODERATOR)

    assert get_text(shared) == "Everybody here can give `ours` as the option `preset` of /imagine now."
    await bench.say("/imagine a fox --preset ours")
    assert len(bench.last_message.reply.pictures) == 2
    assert get_text(await bench.say("/preset show ours")) == "**ours**, this workspace's: count 2"
    await bench.say("/preset save ours --count 3")
    await bench.say("/imagine a fox --preset ours")
    assert len(bench.last_message.reply.pictures) == 3
    assert get_text(await bench.say("/preset list")) == "Yours: `ours`\nThis workspace's: `ours`"
    again = await bench.say("/preset share ours", by=MODERATOR)
    assert get_text(again).endswith("now. The older one of that name is replaced.")
    refused = await bench.say("/preset unshare ours")
    assert get_text(refused) == "/preset unshare is for a moderator of this workspace."
    await bench.say("/preset unshare ours", by=MODERATOR)
    assert get_text(await bench.say("/preset list", by=BEN)) == "There is no preset yet. `/preset save` adds one."
    audit = get_text(await bench.say("/audit --kind presets", by=MODERATOR))
    assert "Mo · shared a preset · preset ours" in audit
    assert "Mo · took a preset away from this workspace · preset ours" in audit


async def test_the_names_of_presets_are_suggested_to_those_who_may_use_them(bench: Bench) -> None:
    for name, by in (("ours", MODERATOR), ("night", MODERATOR), ("ours", ANA), ("own-night", ANA)):
        await bench.say(f"/preset save {name} --count 2", by=by)
    for name in ("ours", "night"):
        await bench.say(f"/preset share {name}", by=MODERATOR)

    async def suggest(command: str, typed: str = "", *, by: User = ANA) -> list[JSON]:
        option = "preset" if command == "imagine" else "name"
        return await list_suggestions(bench.app.dispatcher.services, by, command, option, typed, {})

    night, ours = ({"label": f"{name} · this workspace's", "value": name} for name in ("night", "ours"))
    own = [{"label": f"{name} · yours", "value": name} for name in ("ours", "own-night")]
    for command in ("imagine", "preset show"):
        assert await suggest(command) == [*own, night]
        assert await suggest(command, "NIG") == [night, own[1]]
        assert await suggest(command, by=BEN) == [night, ours]
    assert await suggest("preset remove") == own
    assert await suggest("preset remove", by=BEN) == []
    assert await suggest("preset share", "our", by=MODERATOR) == own[:1]
    assert await suggest("preset unshare", by=MODERATOR) == [night, ours]


async def test_where_people_have_no_workspace_in_common_nothing_is_shared(bench: Bench) -> None:
    alone, place = replace(MODERATOR, workspace="user-installs"), Channel("web", "user-installs", "c9")
    async with bench.app.database.write() as tx:
        await tx.people.allow_workspace(alone.platform, alone.workspace, NOW)
    await bench.say("/preset save ours --count 2", by=alone, channel=place)

    refused = await bench.say("/preset share ours", by=alone, channel=place)

    assert get_text(refused) == "Presets are shared in a server or a workspace: use this command there."
    assert get_text(await bench.say("/preset list", by=alone, channel=place)) == "Yours: `ours`"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/preset save ours", "Give an option to save, such as model or aspect."),
        ("/preset save ours --model nonsense", "There is no model called “nonsense”."),
        ("/preset save our/style --count 2", "A name has letters, digits and dashes, at most 32 and without spaces."),
        ("/preset save ours --count 9", "count must be from 1 to 4, not 9."),
        ("/preset show ours", "There is no preset called “ours”."),
        ("/preset share ours", "There is no preset called “ours”."),
    ],
)
async def test_a_preset_that_cannot_be_is_refused_in_one_sentence(bench: Bench, line: str, reason: str) -> None:
    reply = await bench.say(line, by=MODERATOR)

    assert reply is not None
    assert reply.tone is Tone.ERROR
    assert reply.text.startswith(reason)
    assert "no preset" in get_text(await bench.say("/preset list", by=MODERATOR))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"model": "left-us"}, "There is no model called “left-us”. /models lists them. Give another model,"),
        ({"tempo": 3}, "/imagine has no option tempo now. Save it again with /preset save."),
        ({"steps": 900}, "steps must be from 1 to 100, not 900. Give another steps, or save it again."),
    ],
)
async def test_what_is_gone_since_is_told_and_an_option_given_goes_before_it(
    bench: Bench, options: dict[str, str | int], reason: str
) -> None:
    async with bench.app.database.write() as tx:
        owner = person_from_user(ANA)
        await tx.presets.put(Preset("web", owner.workspace, owner.id, "ours", options, ANA.actor, NOW))

    refused = get_text(await bench.say("/imagine a fox --preset ours"))

    assert refused.startswith(f"The preset “ours” does not work any more: {reason}")
    assert bench.backend.runs == {}
    if "tempo" not in options:
        name = next(iter(options))
        assert await bench.say(f"/imagine a fox --preset ours --{name} {'sdxl' if name == 'model' else 4}") is None


async def test_the_number_of_presets_has_a_bound(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bot.dispatch.presets.MAX_PRESETS", 2)
    for name in ("a", "b"):
        await bench.say(f"/preset save {name} --count 2", by=MODERATOR)

    refused = await bench.say("/preset save c --count 2", by=MODERATOR)

    assert get_text(refused) == "2 presets are the most. Take one away first: /preset remove."
    assert "changed" in get_text(await bench.say("/preset save a --count 3", by=MODERATOR))
    assert limits.MAX_PRESETS == 25


async def test_the_price_of_a_preset_is_asked_before_a_costly_request(bench: Bench) -> None:
    await bench.say("/settings general --confirm_above 10", by=MODERATOR)
    await bench.say("/preset save ours --count 4")

    question = await bench.say("/imagine a fox --preset ours")

    assert get_text(question) == "This costs 12 credits with FLUX schnell. Go ahead?"
    assert bench.backend.runs == {}


async def test_personal_presets_are_exported_and_deleted_with_their_person(bench: Bench) -> None:
    await bench.say("/preset save ours --negative badgers", by=MODERATOR)
    await bench.say("/preset share ours", by=MODERATOR)
    await bench.say("/preset save mine --negative foxes")

    export = await bench.say("/privacy export")
    assert export is not None
    assert [preset["options"] for preset in json.loads(export.files[0].text)["presets"]] == [{"negative": "foxes"}]
    await delete_data(bench)

    async with bench.app.database.read() as tx:
        assert await tx.presets.list_presets(person_from_user(ANA)) == []
    assert get_text(await bench.say("/preset list", channel=CHANNEL)) == "This workspace's: `ours`"
