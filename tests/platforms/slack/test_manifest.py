"""The manifest: drawn from the menu, taken by Slack, and compared by `doctor`."""

import json
from pathlib import Path

import pytest

from bot.cli import doctor_platforms, main
from bot.commands import MENU
from bot.platforms.slack.manifest import SCOPES, create_manifest, render_yaml
from tests.emulators.slack.manifest import validate_manifest
from tests.platforms.slack.conftest import OfficeOpener
from tests.platforms.slack.office import Office, create_office, create_options


@pytest.mark.parametrize(
    "drawn", [create_manifest(MENU), create_manifest(MENU, prefix="easel-", public_url="https://bot.example")]
)
def test_slack_takes_it(drawn: dict[str, object]) -> None:
    assert validate_manifest(drawn) == []


def test_every_first_word_of_the_menu_is_a_command() -> None:
    commands = {command["command"] for command in create_manifest(MENU)["features"]["slash_commands"]}

    assert commands == {f"/{form.declaration.name_parts[0]}" for form in MENU}


def test_whoever_is_mentioned_arrives_as_an_id() -> None:
    commands = {one["command"]: one for one in create_manifest(MENU)["features"]["slash_commands"]}

    assert commands["/quota"]["should_escape"]
    assert not commands["/imagine"]["should_escape"]


def test_by_http_every_address_is_ours() -> None:
    drawn = create_manifest(MENU, public_url="https://bot.example")

    assert {command["url"] for command in drawn["features"]["slash_commands"]} == {"https://bot.example/slack/events"}
    assert drawn["settings"]["interactivity"]["message_menu_options_url"] == "https://bot.example/slack/events"
    assert drawn["oauth_config"]["redirect_urls"] == ["https://bot.example/slack/oauth_redirect"]
    assert not drawn["settings"]["socket_mode_enabled"]


def test_scalars_that_yaml_would_misread_are_quoted() -> None:
    written = render_yaml({"a": "yes", "b": "1.0", "c": 'say "hi"', "d": "x: y", "e": [], "f": ["#1"], "g": True})

    assert written == 'a: "yes"\nb: "1.0"\nc: "say \\"hi\\""\nd: "x: y"\ne: []\nf:\n  - "#1"\ng: true\n'


def test_the_verb_prints_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main(["slack", "manifest"]) == 0
    assert capsys.readouterr().out == render_yaml(create_manifest(MENU))
    monkeypatch.setenv("PUBLIC_URL", "https://bot.example")
    assert main(["slack", "manifest", "--http", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == create_manifest(MENU, public_url="https://bot.example")


async def test_doctor_is_content_with_an_app_made_by_it(opened: OfficeOpener) -> None:
    office = await opened()

    told = await examined(office)

    assert "SLACK_APP_TOKEN opens a socket." in told
    assert "SLACK_BOT_TOKEN is good, and has every scope of the manifest." in told
    assert "message.channels" in told


async def test_doctor_names_the_scopes_that_are_missing(opened: OfficeOpener) -> None:
    office = await opened(options=create_options(scopes=frozenset(SCOPES) - {"files:write", "usergroups:read"}))

    assert "The Slack app lacks files:write, usergroups:read." in await examined(office)


async def test_doctor_says_what_is_wrong_with_a_token(tmp_path: Path) -> None:
    office = await create_office(tmp_path)
    office.slack.tokens.revoke(office.team.bot_token, "token_revoked")

    told = await examined(office)

    await office.slack.stop()
    assert "SLACK_BOT_TOKEN: Slack says token_revoked." in told


async def test_doctor_asks_how_slack_is_heard(tmp_path: Path) -> None:
    office = await create_office(tmp_path, slack_app_token=None)

    told = await examined(office)

    await office.slack.stop()
    assert "Nothing says how Slack is heard." in told


async def examined(office: Office) -> str:
    """What `doctor` says of Slack."""
    findings = [
        await check(office.settings)
        for check in (*doctor_platforms.SLACK_LOCAL_CHECKS, *doctor_platforms.SLACK_REMOTE_CHECKS)
    ]
    return "\n".join(finding.text for finding in findings if finding is not None)
