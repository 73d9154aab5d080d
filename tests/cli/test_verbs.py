"""The menu of verbs, and what each says when it cannot start."""

from pathlib import Path

import pytest

from bot.cli import VERBS, main

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A folder without anybody's .env."""
    monkeypatch.chdir(tmp_path)


def test_help_lists_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    assert main(["dance"]) == 2

    told = capsys.readouterr().out
    assert [verb for verb in VERBS if f"  {verb} " not in told] == []


def test_each_verb_has_its_file() -> None:
    assert all((ROOT / "bot" / "cli" / f"{verb}.py").is_file() for verb in VERBS)


def test_run_without_a_token_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 1

    assert "REPLICATE_API_TOKEN is missing. `python -m bot demo` needs none" in capsys.readouterr().err


def test_a_misspelt_setting_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("REPLICATE_API_TOKN=r8_x\n", encoding="utf-8")

    assert main(["run"]) == 1

    assert "REPLICATE_API_TOKN is not a setting; did you mean REPLICATE_API_TOKEN?" in capsys.readouterr().err


def test_doctor_tells_what_is_missing_and_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 1

    told = capsys.readouterr().out
    assert "ok    The database opens, and what guards the ledger is in place." in told
    assert "fail  REPLICATE_API_TOKEN is missing.\n      Make one at replicate.com" in told


def test_doctor_names_settings_that_are_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    Path(".env").write_text("HTTP_PORT=many\n", encoding="utf-8")

    assert main(["doctor", "--offline"]) == 1

    assert "fail  HTTP_PORT should be a valid integer, not 'many'." in capsys.readouterr().out


def test_doctor_is_content_offline(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "--offline"]) == 0

    assert "fail" not in capsys.readouterr().out


def test_a_page_for_everybody_needs_a_key(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_" + "a" * 37)
    monkeypatch.setenv("HTTP_HOST", "0.0.0.0")  # noqa: S104 - that is the point
    monkeypatch.setenv("HTTP_PORT", "0")

    assert main(["run"]) == 1

    assert "needs WEB_TOKEN" in capsys.readouterr().err


def test_health_of_nobody(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("HTTP_PORT", "9")

    assert main(["health"]) == 1

    assert "Nothing answers at 127.0.0.1:9." in capsys.readouterr().out


def test_output_goes_with_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["demo", "--output", "a.png"])

    assert "--output goes with --once" in capsys.readouterr().err
