"""The manifest: created from the menu, accepted by Slack, and compared by `doctor`."""

import json
from pathlib import Path

import pytest

from bot.cli import doctor, main
from bot.commands import MENU
from bot.platforms.slack.manifest import SCOPES, create_manifest, render_yaml
from tests.emulators.slack.manifest import validate_manifest
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.office import Office, create_office, create_options


@pytest.mark.parametrize(
    "manifest", [create_manifest(MENU), create_manifest(MENU, prefix="easel-", public_url="https://bot.example")]
)
def test_slack_accepts_the_manifest(manifest: dict[str, object]) -> None:
    assert validate_manifest(manifest) == []


def test_every_first_word_of_the_menu_is_a_command() -> None:
    commands = {command["command"] for command in create_manifest(MENU)["features"]["slash_commands"]}

    assert commands == {f"/{form.declaration.name_parts[0]}" for form in MENU}


def test_mentions_in_commands_arrive_as_ids() -> None:
    commands = {one["command"]: one for one in create_manifest(MENU)["features"]["slash_commands"]}

    assert commands["/quota"]["should_escape"]
    assert not commands["/imagine"]["should_escape"]


def test_over_http_every_address_is_the_bots() -> None:
    manifest = create_manifest(MENU, public_url="https://bot.example")

    assert {command["url"] for command in manifest["features"]["slash_commands"]} == {
        "https://bot.example/slack/events"
    }
    assert manifest["settings"]["interactivity"]["message_menu_options_url"] == "https://bot.example/slack/events"
    assert manifest["oauth_config"]["redirect_urls"] == ["https://bot.example/slack/oauth_redirect"]
    assert not manifest["settings"]["socket_mode_enabled"]


def test_scalars_that_yaml_would_misread_are_quoted() -> None:
    rendered = render_yaml({"a": "yes", "b": "1.0", "c": 'say "hi"', "d": "x: y", "e": [], "f": ["#1"], "g": True})

    assert rendered == 'a: "yes"\nb: "1.0"\nc: "say \\"hi\\""\nd: "x: y"\ne: []\nf:\n  - "#1"\ng: true\n'


def test_the_command_line_prints_the_manifest(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["slack", "manifest"]) == 0
    assert capsys.readouterr().out == render_yaml(create_manifest(MENU))
    monkeypatch.setenv("PUBLIC_URL", "https://bot.example")
    assert main(["slack", "manifest", "--http", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == create_manifest(MENU, public_url="https://bot.example")


async def test_doctor_accepts_an_app_created_from_the_manifest(open_office: OfficeOpener) -> None:
    office = await open_office()

    findings = await run_doctor(office)

    assert "SLACK_APP_TOKEN opens a socket." in findings
    assert "SLACK_BOT_TOKEN is good, and has every scope of the manifest." in findings
    assert "message.channels" in findings


async def test_doctor_names_missing_scopes(open_office: OfficeOpener) -> None:
    office = await open_office(options=create_options(scopes=frozenset(SCOPES) - {"files:write", "usergroups:read"}))

    assert "The Slack app lacks files:write, usergroups:read." in await run_doctor(office)


async def test_doctor_names_what_a_missing_optional_scope_costs(open_office: OfficeOpener) -> None:
    office = await open_office(options=create_options(scopes=frozenset(SCOPES)))

    assert "good, without the optional canvases:read: canvases are not read." in await run_doctor(office)


async def test_doctor_explains_a_bad_token(tmp_path: Path) -> None:
    office = await create_office(tmp_path)
    office.slack.tokens.revoke(office.team.bot_token, "token_revoked")

    findings = await run_doctor(office)

    await office.slack.stop()
    assert "SLACK_BOT_TOKEN: Slack says token_revoked." in findings


async def test_doctor_reports_a_missing_transport(tmp_path: Path) -> None:
    office = await create_office(tmp_path, slack_app_token=None)

    findings = await run_doctor(office)

    await office.slack.stop()
    assert "Nothing says how Slack is heard." in findings


async def run_doctor(office: Office) -> str:
    """Return the findings of `doctor` about Slack."""
    findings = [await check(office.settings) for check in (*doctor.SLACK_LOCAL_CHECKS, *doctor.SLACK_REMOTE_CHECKS)]
    return "\n".join(finding.text for finding in findings if finding is not None)
