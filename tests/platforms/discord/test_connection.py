"""The connection: lost, resumed, refused, split over shards; and joined servers."""

import logging
from pathlib import Path

import discord
import pytest
from pydantic import SecretStr

from bot.core.errors import Unavailable, UserError
from bot.platforms.discord.errors import REFUSED_TOKEN
from tests.emulators.discord.emulator import DiscordEmulator
from tests.platforms.discord.town import Town, finish, open_town


async def test_a_wrong_token_is_reported_in_one_sentence(tmp_path: Path) -> None:
    async with DiscordEmulator() as emulator:
        town = Town(tmp_path, emulator)

        with pytest.raises(UserError) as refusal:
            await town.open(discord_token=SecretStr("not the token"))
        await town.app.close()

    assert str(refusal.value) == REFUSED_TOKEN


async def test_an_unreachable_discord_is_reported_in_one_sentence(tmp_path: Path) -> None:
    async with DiscordEmulator() as emulator:
        town = Town(tmp_path, emulator)
        nowhere = "http://127.0.0.1:9/api/v10"

        # Without the path, where an address may carry a secret.
        with pytest.raises(UserError, match=r"Discord is not reached at http://127\.0\.0\.1:9: "):
            await town.open(discord_api_url=nowhere)
        await town.app.close()


@pytest.mark.parametrize("how", ["reconnect", "cut", "4000", "4001", "4002", "4003", "4005", "4007", "4008", "4009"])
async def test_commands_during_a_lost_gateway_are_answered(town: Town, how: str) -> None:
    gateway = town.emulator.gateway
    if how == "reconnect":
        gateway.request_reconnect()
    elif how == "cut":
        gateway.drop_connections()
    else:
        await gateway.close_connections(int(how))

    interaction = await town.ana.use_command("imagine", {"prompt": "a fox"})
    message = await finish(interaction)

    assert message.pictures
    assert len(town.backend.runs) == 1


@pytest.mark.parametrize(
    ("code", "words"),
    [
        *((4004, "DISCORD_TOKEN"), (4010, "DISCORD_SHARD_IDS"), (4011, "DISCORD_SHARD_COUNT")),
        *((4012, "version"), (4013, "intents"), (4014, "Message Content")),
    ],
)
async def test_a_final_close_is_logged_and_fails_readyz(
    town: Town, caplog: pytest.LogCaptureFixture, code: int, words: str
) -> None:
    (connection,) = town.app.connections
    connection.check()

    with caplog.at_level(logging.ERROR):
        await town.emulator.gateway.close_connections(code)
        await town.wait_until(lambda: "discord.closed" in caplog.text)

    close_record = next(record for record in caplog.records if record.message == "discord.closed")
    assert words in str(vars(close_record)["reason"])
    with pytest.raises(Unavailable, match="Discord is not connected"):
        connection.check()


async def test_shards_share_the_servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def identify_at_once(*_: object, **__: object) -> None:
        """Skip the five seconds between shards: the local Discord does not demand the wait."""

    monkeypatch.setattr(discord.Client, "before_identify_hook", identify_at_once)
    async with open_town(tmp_path, discord_shard_count=2) as town:
        await town.emulator.wait_for_connections(2)
        guilds = [town.guild, town.emulator.add_guild("Odd", guild_id=town.guild.id ^ 1 << 22)]
        cleo = guilds[1].add_member("Cleo")

        message = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}))
        answer = await (await cleo.use_command("usage")).wait_for_private_message()

        assert {guild.id >> 22 & 1 for guild in guilds} == {0, 1}
    assert message.pictures
    assert "not on my list" in answer.text


async def test_a_process_with_one_shard_answers_its_own_servers_alone(tmp_path: Path) -> None:
    async with DiscordEmulator() as emulator:
        town = Town(tmp_path, emulator)
        mine = town.guild.id >> 22 & 1
        await town.open(discord_shard_count=2, discord_shard_ids=(mine,))

        message = await finish(await town.ana.use_command("imagine", {"prompt": "a fox"}))
        shards = [(session.shard, session.shards) for session in emulator.gateway.connected_sessions]
        await town.app.close()

    assert message.pictures
    assert shards == [(mine, 2)]


async def test_only_needed_intents_are_requested(tmp_path: Path) -> None:
    messages, direct, content = 1 << 9, 1 << 12, 1 << 15
    for flags, wanted in ((0, 1 | messages | direct), (1 << 19, 1 | messages | direct | content)):
        async with open_town(tmp_path / str(flags), flags=flags) as town:
            assert [session.intents for session in town.emulator.gateway.connected_sessions] == [wanted]


async def test_a_new_server_is_greeted_with_the_next_step(town: Town) -> None:
    await town.wait_until_ready()

    strange = town.emulator.add_guild("Strangers", channels=("rules", "general"))
    strange.channels[0].deny(town.emulator.bot, "send_messages")
    welcome = await town.wait_until(lambda: any(place.messages for place in strange.channels))
    (message,) = [one for place in strange.channels for one in place.messages]

    assert welcome
    assert "`/setup`" in message.text


async def test_a_server_works_after_the_owner_s_setup(town: Town) -> None:
    await town.wait_until_ready()
    strange = town.emulator.add_guild("Strangers")
    cleo = strange.add_member("Cleo")
    town.emulator.state.add_member(strange, town.emulator.owner)
    owner = town.owner_of(strange)

    refusal = await (await cleo.use_command("imagine", {"prompt": "a fox"})).wait_for_private_message()
    answer = await (await owner.use_command("setup", {"budget": 500.0})).wait_for_private_message()
    town.clock.ahead += 2.0
    message = await finish(await cleo.use_command("imagine", {"prompt": "a fox"}))

    assert "not on my list" in refusal.text
    assert "**This workspace may use me.**" in answer.text
    assert message.pictures
