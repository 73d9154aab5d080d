"""The findings of `doctor` about Discord."""

from pathlib import Path

from pydantic import SecretStr

from bot.cli.doctor import DISCORD_REMOTE_CHECKS, DoctorFinding
from bot.settings import Settings
from tests.emulators.discord.emulator import DiscordEmulator
from tests.fakes.samples import DEFAULT_SETTINGS
from tests.platforms.discord.town import Town


async def run_doctor(settings: Settings) -> list[DoctorFinding]:
    return [finding for check in DISCORD_REMOTE_CHECKS if (finding := await check(settings)) is not None]


def create_settings(emulator: DiscordEmulator, token: str = "") -> Settings:
    changes = {"discord_token": SecretStr(token or emulator.token), "discord_api_url": emulator.api_url}
    return DEFAULT_SETTINGS.model_copy(update=changes)


async def test_doctor_names_each_missing_step_of_a_new_application() -> None:
    async with DiscordEmulator(application_flags=0) as emulator:
        guild = emulator.add_guild("Foxes")
        for role in guild.roles:
            role.permissions &= ~(1 << 15)

        found = await run_doctor(create_settings(emulator))

        assert emulator.violations == []
    assert [one.status for one in found] == ["ok", "warn", "warn", "warn", "ok"]
    assert found[0].text == "Discord knows the bot as Easel, in 1 server."
    assert found[1].text.startswith("Message Content is off")
    assert found[2].text.startswith("Discord knows other commands: /")
    assert found[3].text == "Permissions are missing in Foxes: Attach Files."
    assert f"client_id={emulator.state.application_id}&scope=bot+applications.commands&permissions=" in found[4].text


async def test_doctor_has_no_warning_for_a_running_bot(town: Town) -> None:
    found = await run_doctor(town.app.settings)

    assert {one.status for one in found} == {"ok"}


async def test_a_wrong_token_is_the_only_finding(tmp_path: Path) -> None:
    async with DiscordEmulator() as emulator:
        (found,) = await run_doctor(create_settings(emulator, "not the token"))

    assert found.status == "fail"
    assert found.text.startswith("Discord does not take DISCORD_TOKEN.")


async def test_without_a_token_there_are_no_findings() -> None:
    assert await run_doctor(DEFAULT_SETTINGS) == []
