"""What `doctor` tells of Discord before anybody has asked the bot anything."""

from pathlib import Path

from pydantic import SecretStr

from bot.cli.doctor_platforms import DISCORD_REMOTE_CHECKS, DoctorFinding
from bot.settings import Settings
from tests.emulators.discord.emulator import DiscordEmulator
from tests.platforms.discord.town import Town


async def findings(settings: Settings) -> list[DoctorFinding]:
    return [finding for check in DISCORD_REMOTE_CHECKS if (finding := await check(settings)) is not None]


def settings_for(emulator: DiscordEmulator, token: str = "") -> Settings:
    changes = {"discord_token": SecretStr(token or emulator.token), "discord_api_url": emulator.api_url}
    return Settings(_env_file=None).model_copy(update=changes)


async def test_a_new_application_is_told_what_to_do() -> None:
    async with DiscordEmulator(application_flags=0) as emulator:
        guild = emulator.add_guild("Foxes")
        for role in guild.roles:
            role.permissions &= ~(1 << 15)

        found = await findings(settings_for(emulator))

        assert emulator.violations == []
    assert [one.status for one in found] == ["ok", "warn", "warn", "warn", "ok"]
    assert found[0].text == "Discord knows the bot as Easel, in 1 server."
    assert found[1].text.startswith("Message Content is off")
    assert found[2].text.startswith("Discord knows other commands: /")
    assert found[3].text == "Permissions are missing in Foxes: Attach Files."
    assert f"client_id={emulator.state.application_id}&scope=bot+applications.commands&permissions=" in found[4].text


async def test_a_bot_that_runs_has_nothing_to_warn_of(town: Town) -> None:
    found = await findings(town.app.settings)

    assert {one.status for one in found} == {"ok"}


async def test_a_wrong_token_is_the_only_finding(tmp_path: Path) -> None:
    async with DiscordEmulator() as emulator:
        (found,) = await findings(settings_for(emulator, "not the token"))

    assert found.status == "fail"
    assert found.text.startswith("Discord does not take DISCORD_TOKEN.")


async def test_without_a_token_there_is_nothing_to_say() -> None:
    assert await findings(Settings(_env_file=None)) == []
